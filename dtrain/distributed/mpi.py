"""The communicator over MPI: shared memory within a node, messages between the nodes' leaders.

Device arrays go by NCCL; through host memory where NCCL cannot be had.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array
from dtrain.distributed.communicator import SoloCommunicator
from dtrain.distributed.leaders import Leaders
from dtrain.distributed.nccl import Nccl, connect
from dtrain.distributed.node import Node
from dtrain.distributed.reduce import blocks_of, equal_bounds, fold, plan_of
from dtrain.distributed.staging import Staging


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
            with out.device:
                self._for_device(out).all_reduce(blocks, out, count, divisor)
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
        if not isinstance(out, np.ndarray):
            with out.device:
                self._for_device(out).reduce_scatter(blocks, out, bounds, count, divisor)
            return
        own = slice(bounds[self.rank], bounds[self.rank + 1])
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
            with flat.device:
                self._for_device(flat).all_gather_slices(flat, bounds)
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
        if not isinstance(flat, np.ndarray):
            with flat.device:
                self._for_device(flat).native_all_reduce(flat, divisor)
            return
        if flat.dtype not in (np.float32, np.float64):  # MPI has no halves
            self.all_reduce([flat], flat, self.size, divisor)
            return
        self._comm.Allreduce(self._mpi.IN_PLACE, flat)
        if divisor != 1:
            flat /= flat.dtype.type(divisor)

    def _for_device(self, array: Array) -> Nccl | Staging | SoloCommunicator:
        """What moves device arrays such as this one between the ranks, which all ask for it."""
        if self.size == 1:
            return SoloCommunicator()
        return self._nccl if self._nccl and self._nccl.takes(array) else Staging(self)

    @functools.cached_property
    def _nccl(self) -> Nccl | None:
        return connect(self._comm)

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
