"""One rank of each node, which exchange their nodes' partial sums over the network."""

from __future__ import annotations

import itertools
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
        for slices in cut_slices(bounds, out.itemsize):
            parts: dict[Interval, np.ndarray] = {}
            for turn in range(max(map(len, plans))):
                senders = [node for node, plan in enumerate(plans) if turn < len(plan)]
                flat = partials[turn] if turn < len(partials) else None
                received = exchange(self._comm, self._runner, flat, out.dtype, slices, senders)
                for sender, part in zip(senders, received):
                    parts[plans[sender][turn]] = part
            combine(parts, (0, count), [out[slices[self._index]]], slice(None), divisor)

    def _plan(self, node: int, count: int) -> tuple[Interval, ...]:
        low, _ = microbatch_range(self._firsts[node], self._size, count)
        _, high = microbatch_range(self._firsts[node + 1] - 1, self._size, count)
        return covering_nodes(low, high, count)

    def all_gather(self, flat: np.ndarray, bounds: Sequence[int]) -> None:
        """Fill in `flat`, of which each leader holds its node's slice."""
        for slices in cut_slices(bounds, flat.itemsize):
            joined = _join(flat, slices)
            starts, lengths = _in_bytes(slices, flat.dtype)
            whole = [_bytes(joined), (lengths, starts), self._mpi.BYTE]
            received_bytes = sum(lengths) - lengths[self._index]
            self._runner.run(
                "Allgatherv", self._comm, self._mpi.IN_PLACE, whole, received_bytes=received_bytes
            )
            if joined is not flat:
                borders = np.cumsum([s.stop - s.start for s in slices])[:-1]
                for part, received in zip(slices, np.split(joined, borders)):
                    flat[part] = received


#: the most bytes of an array in one call of MPI, which counts to 2**31
_CALL_BYTES = 32 << 20


def cut_slices(
    bounds: Sequence[int], itemsize: int, call_bytes: int | None = None
) -> list[list[slice]]:
    """The ranks' slices of an array, a part of each for every call of MPI.

    >>> cut_slices([0, 5, 9], itemsize=4, call_bytes=24)
    [[slice(0, 3, None), slice(5, 8, None)], [slice(3, 5, None), slice(8, 9, None)]]
    """
    pairs = list(zip(bounds, bounds[1:]))
    elements = (call_bytes or _CALL_BYTES) // itemsize
    if bounds[-1] - bounds[0] <= elements:
        return [[slice(a, b) for a, b in pairs]]
    width = max(elements // len(pairs), 1)
    longest = max(b - a for a, b in pairs)
    return [
        [slice(min(a + start, b), min(a + start + width, b)) for a, b in pairs]
        for start in range(0, longest, width)
    ]


def exchange(
    comm: Any,
    runner: CollectiveRunner,
    flat: np.ndarray | None,
    dtype: np.dtype,
    slices: Sequence[slice],
    senders: Sequence[int],
) -> list[np.ndarray]:
    """The slice ``slices[r]`` of each sender's `flat` on rank r of an mpi4py communicator."""
    starts, lengths = _in_bytes(slices, dtype)
    length = lengths[comm.rank]
    sent = lengths if flat is not None else [0] * len(lengths)
    inbox = np.empty((len(senders), length), np.uint8)
    received = [length if rank in senders else 0 for rank in range(len(lengths))]
    outbox = [_bytes(None if flat is None else _join(flat, slices)), (sent, starts)]
    received_bytes = sum(received) - received[comm.rank]
    runner.run("Alltoallv", comm, outbox, [inbox, received], received_bytes=received_bytes)
    return list(inbox.view(dtype))


def _join(flat: np.ndarray, slices: Sequence[slice]) -> np.ndarray:
    """The slices one after another: `flat` itself if they are all of it, else a copy."""
    is_joined = all(a.stop == b.start for a, b in zip(slices, slices[1:]))
    if is_joined and (slices[0].start, slices[-1].stop) == (0, len(flat)):
        return flat
    return np.concatenate([flat[part] for part in slices])


def _in_bytes(slices: Sequence[slice], dtype: np.dtype) -> tuple[list[int], list[int]]:
    """The starts and the lengths of slices that are joined."""
    lengths = [(part.stop - part.start) * dtype.itemsize for part in slices]
    return [0, *itertools.accumulate(lengths)][:-1], lengths


def _bytes(array: np.ndarray | None) -> np.ndarray:
    return np.empty(0, np.uint8) if array is None else array.view(np.uint8)
