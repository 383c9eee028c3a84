"""One rank of each node, which exchange their nodes' partial sums over the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.distributed.comm.node_local import NodeLocalGroup
from dtrain.distributed.comm.polling import CollectiveRunner
from dtrain.distributed.comm.tree_reduce import Interval, combine, covering_nodes, microbatch_range


class InterNodeExchange:
    """The first rank of every node. `reduce_scatter` and `all_gather` are for leaders alone."""

    def __init__(self, comm: Any, node: NodeLocalGroup):
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm.Split(0 if node.rank == 0 else MPI.UNDEFINED, comm.rank)
        self._index, self._runner = node.index, node.runner
        self._size = comm.size
        self._firsts = [ranks[0] for ranks in node.all_ranks] + [comm.size]

    def comms(self) -> list[Any]:
        """The communicator between the nodes; none on a rank that does not lead."""
        return [] if self._comm == self._mpi.COMM_NULL else [self._comm]

    def bounds(self, bounds: Sequence[int]) -> list[int]:
        """The bounds of the nodes' slices, from those of the ranks' slices."""
        return [bounds[first] for first in self._firsts]

    def reduce_scatter(
        self,
        partials: Sequence[np.ndarray],
        out: np.ndarray,
        bounds: Sequence[int],
        count: int,
        divisor: float,
    ) -> None:
        """Combine all nodes' partial sums over this node's slice, into that slice of `out`."""
        plans = [self._plan(node, count) for node in range(len(self._firsts) - 1)]
        own = slice(bounds[self._index], bounds[self._index + 1])
        parts: dict[Interval, np.ndarray] = {}
        for turn in range(max(map(len, plans))):
            senders = [node for node, plan in enumerate(plans) if turn < len(plan)]
            flat = partials[turn] if turn < len(partials) else None
            received = exchange(self._comm, self._runner, flat, out.dtype, bounds, senders)
            for sender, part in zip(senders, received):
                parts[plans[sender][turn]] = part
        combine(parts, (0, count), [out[own]], slice(None), divisor)

    def _plan(self, node: int, count: int) -> tuple[Interval, ...]:
        low, _ = microbatch_range(self._firsts[node], self._size, count)
        _, high = microbatch_range(self._firsts[node + 1] - 1, self._size, count)
        return covering_nodes(low, high, count)

    def all_gather(self, flat: np.ndarray, bounds: Sequence[int]) -> None:
        """Fill in `flat`, of which each leader holds its node's slice."""
        starts, lengths = _in_bytes(bounds, flat.dtype)
        whole = [_bytes(flat), (lengths, starts), self._mpi.BYTE]
        self._runner.run("Allgatherv", self._comm, self._mpi.IN_PLACE, whole)


def exchange(
    comm: Any,
    runner: CollectiveRunner,
    flat: np.ndarray | None,
    dtype: np.dtype,
    bounds: Sequence[int],
    senders: Sequence[int],
) -> list[np.ndarray]:
    """Slice bounds[r]:bounds[r + 1] of each sender's `flat` on rank r of an mpi4py communicator."""
    starts, lengths = _in_bytes(bounds, dtype)
    length = lengths[comm.rank]
    sent = lengths if flat is not None else [0] * len(lengths)
    inbox = np.empty((len(senders), length), np.uint8)
    received = [length if rank in senders else 0 for rank in range(len(lengths))]
    outbox = [_bytes(flat), (sent, starts)]
    runner.run("Alltoallv", comm, outbox, [inbox, received])
    return list(inbox.view(dtype))


def _in_bytes(bounds: Sequence[int], dtype: np.dtype) -> tuple[list[int], list[int]]:
    """The starts and the lengths of the slices."""
    starts = [bound * dtype.itemsize for bound in bounds]
    return starts[:-1], [b - a for a, b in zip(starts, starts[1:])]


def _bytes(array: np.ndarray | None) -> np.ndarray:
    return np.empty(0, np.uint8) if array is None else array.view(np.uint8)
