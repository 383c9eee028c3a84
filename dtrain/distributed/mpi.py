"""The communicator over MPI: shared memory within a node, messages between the nodes' leaders.

Device arrays pass through host memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array, to_host
from dtrain.distributed.leaders import Leaders
from dtrain.distributed.node import Node
from dtrain.distributed.reduce import blocks_of, equal_bounds, fold, plan_of


class MpiCommunicator:
    """All ranks of an mpi4py communicator; every call blocks."""

    def __init__(self, comm: Any):
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._node = Node(comm)
        self._leaders = Leaders(comm, self._node) if len(self._node.all_ranks) > 1 else None
        self.over_network = self._leaders is not None

    def duplicate(self) -> MpiCommunicator:
        return MpiCommunicator(self._comm.Dup())

    def barrier(self) -> None:
        self._comm.Barrier()

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return self._comm.bcast(value, root)

    def allgather(self, value: Any) -> list[Any]:
        return self._comm.allgather(value)

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        return self._node.empty(size, dtype)

    def all_reduce(
        self, blocks: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        if not isinstance(out, np.ndarray):
            host = [to_host(block) for block in blocks]
            self.all_reduce(host, host[0], count, divisor)
            out.set(host[0])
            return
        parts, outs = self._open(blocks, out, count)
        if self._leaders is None:
            fold(parts, (0, count), outs, self._node.share_of(len(out)), divisor)
            self._node.barrier()
        else:
            sums = self._fold_in_node(parts, len(out), count)
            if self._node.rank == 0:
                bounds = self._leaders.bounds(equal_bounds(len(out), self.size))
                self._leaders.reduce_scatter(sums, outs[0], bounds, count, divisor)
                self._leaders.all_gather(outs[0], bounds)
            self._take_from_leader(outs, slice(None))
        if outs[self._node.rank] is not out:
            out[...] = outs[self._node.rank]

    def reduce_scatter(
        self,
        blocks: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        own = slice(bounds[self.rank], bounds[self.rank + 1])
        if not isinstance(out, np.ndarray):
            host = [to_host(block) for block in blocks]
            self.reduce_scatter(host, host[0], bounds, count, divisor)
            out[own].set(host[0][own])
            return
        parts, outs = self._open(blocks, out, count)
        if self._leaders is None:
            fold(parts, (0, count), [outs[self._node.rank]], own, divisor)
            self._node.barrier()
        else:
            sums = self._fold_in_node(parts, len(out), count)
            if self._node.rank == 0:
                self._leaders.reduce_scatter(
                    sums, outs[0], self._leaders.bounds(bounds), count, divisor
                )
            self._take_from_leader(outs, own)
        if outs[self._node.rank] is not out:
            out[own] = outs[self._node.rank][own]

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        if not isinstance(flat, np.ndarray):
            host = to_host(flat)
            self.all_gather_slices(host, bounds)
            flat.set(host)
            return
        node = self._node
        flats = [arrays[0] for arrays in node.open([flat], 1)]
        for rank, theirs in zip(node.ranks, flats):
            part = slice(bounds[rank], bounds[rank + 1])
            if theirs is not flats[node.rank] and (self._leaders is None or node.rank == 0):
                flats[node.rank][part] = theirs[part]
        node.barrier()
        if self._leaders is not None:
            if node.rank == 0:
                self._leaders.all_gather(flats[0], self._leaders.bounds(bounds))
            self._take_from_leader(flats, slice(None))
        if flats[node.rank] is not flat:
            flat[...] = flats[node.rank]

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        host = to_host(flat)
        if host.dtype not in (np.float32, np.float64):  # MPI has no halves
            self.all_reduce([flat], flat, self.size, divisor)
            return
        self._comm.Allreduce(self._mpi.IN_PLACE, host)
        if divisor != 1:
            host /= host.dtype.type(divisor)
        if host is not flat:
            flat.set(host)

    def _open(self, blocks: Sequence[Array], out: Array, count: int) -> tuple[Any, Any]:
        """The neighbours' blocks by their intervals, and their outs."""
        plans = [plan_of(rank, self.size, count) for rank in self._node.ranks]
        opened = self._node.open([out, *blocks], most=1 + max(map(len, plans)))
        parts = {
            interval: block
            for plan, (_, *theirs) in zip(plans, opened)
            for interval, block in zip(plan, theirs)
        }
        return parts, [theirs[0] for theirs in opened]

    def _fold_in_node(self, parts: Any, length: int, count: int) -> list[np.ndarray]:
        """The node's own blocks, in the place of the first block of each."""
        run = min(low for low, _ in parts), max(high for _, high in parts)
        starts = {low: block for (low, _), block in parts.items()}
        sums = []
        for interval in blocks_of(*run, count):
            sums.append(starts[interval[0]])
            fold(parts, interval, sums[-1:], self._node.share_of(length))
        self._node.barrier()
        return sums

    def _take_from_leader(self, flats: Sequence[np.ndarray], part: slice) -> None:
        self._node.barrier()
        if self._node.rank:
            flats[self._node.rank][part] = flats[0][part]
        self._node.barrier()  # before the leader goes on to change its own
