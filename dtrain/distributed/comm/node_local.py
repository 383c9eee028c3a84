"""The ranks of one machine: they see each other's arrays in shared memory."""

from __future__ import annotations

import contextlib
import itertools
import sys
from array import array as packed
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.distributed.comm.objects import allgather_objects
from dtrain.distributed.comm.polling import CollectiveRunner
from dtrain.distributed.comm.shared_memory import OwnMemory, PeerMemory, Region, own_memory
from dtrain.distributed.watchdog.call_site import find_call_site
from dtrain.distributed.watchdog.collective_log import CollectiveLog
from dtrain.errors import DesyncError


class NodeLocalGroup:
    """A contiguous range of ranks on one machine, this rank among them: its neighbours.

    Parameters
    ----------
    comm : mpi4py's communicator of all ranks
    elastic : whether survivors go on when ranks fail
    log : the collective log of the communicator
    """

    def __init__(self, comm: Any, elastic: bool, log: CollectiveLog):
        from mpi4py import MPI

        self._mpi = MPI
        self._memory, memories = _share(comm, MPI)
        groups = _group_ranks(allgather_objects(comm, min(memories), 0))
        self.all_ranks: list[range] = groups  # of each node
        self.index: int = next(i for i, group in enumerate(groups) if comm.rank in group)
        self.ranks: range = groups[self.index]
        asleep = len(groups) > 1 and not elastic
        self.runner: CollectiveRunner = CollectiveRunner(asleep, log)
        self.size: int = len(self.ranks)
        self.comm: Any = comm.Split(self.index, comm.rank)
        self.rank: Any = self.comm.rank
        self._peers = {r - self.ranks[0]: memories.get(r) for r in self.ranks}

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        """An uninitialized array in memory that the neighbours map."""
        if self.size == 1 or self._memory is None:
            return np.empty(size, dtype)
        return self._memory.empty(size, dtype)

    def empty_once(self, size: int, dtype: np.dtype) -> np.ndarray:
        """An uninitialized array that this rank and its neighbours share; all of them call it."""
        if self.size == 1 or self._memory is None:
            return np.empty(size, dtype)
        region = Region.create(size * dtype.itemsize) if self.rank == 0 else None
        address = allgather_objects(self.comm, region and region.address, 0)[0]
        if region is None:
            region = Region.open(address)
        self.barrier()  # all have opened it
        return region.take_array(size, dtype)

    def barrier(self) -> None:
        """Wait until every neighbour has called it."""
        if self.size > 1:
            self.runner.run("Barrier", self.comm)

    def slice_for(self, length: int) -> slice:
        """This rank's slice of `length` elements."""
        return slice(self.rank * length // self.size, (self.rank + 1) * length // self.size)

    def open(self, arrays: Sequence[np.ndarray], most: int) -> list[list[np.ndarray]]:
        """Every neighbour's arrays, in rank order; waits until all have called.

        Arrays are of one length and dtype, at most `most` from a rank. One that is not in
        shared memory is copied there: the first of `opened[rank]` has to be read back then.

        Raises
        ------
        DesyncError
            If the neighbours' arrays are not alike.
        """
        if self.size == 1:
            return [list(arrays)]
        distinct = {id(array): array for array in arrays}  # `out` may be a partial sum
        places = {key: self._locate(array) for key, array in distinct.items()}
        shared, offsets = zip(*(places[id(array)] for array in arrays))
        size, dtype = len(shared[0]), shared[0].dtype
        own = packed("q", [size, dtype.num, len(shared), *offsets, *[-1] * (most - len(shared))])
        told = packed("q", bytes(8 * len(own) * self.size))
        self.runner.run("Allgather", self.comm, own, told)
        rows = [told[start : start + len(own)] for start in range(0, len(told), len(own))]
        if any(row[:2] != own[:2] for row in rows):
            kind = (size, dtype, find_call_site(sys._getframe()))
            kinds = allgather_objects(self.comm, kind, 0)
            raise DesyncError(
                "the ranks reduce different arrays: "
                + ", ".join(
                    f"rank {rank} {size} x {dtype} ({site})"
                    for rank, (size, dtype, site) in zip(self.ranks, kinds)
                )
            )
        opened = []
        for rank, (_, _, count, *offsets) in enumerate(rows):
            peer = self._peers[rank]
            if peer is None:
                opened.append(list(shared))
            else:
                views = {offset: peer.at(offset, size, dtype) for offset in offsets[:count]}
                opened.append([views[offset] for offset in offsets[:count]])
        return opened

    def _locate(self, array: np.ndarray) -> tuple[np.ndarray, int]:
        """The array, or a copy in shared memory, and where it begins there."""
        assert self._memory is not None
        offset = self._memory.offset_of(array)
        if offset is not None:
            return array, offset
        copy = self._memory.empty(len(array), array.dtype)
        copy[...] = array
        return copy, self._memory.offset_of(copy) or 0


def _share(comm: Any, mpi: Any) -> tuple[OwnMemory | None, dict[int, PeerMemory | None]]:
    """This rank's memory, and that of all ranks that it sees, None for its own.

    A rank that cannot have or reach such memory is alone on its node.
    """
    machine = comm.Split_type(mpi.COMM_TYPE_SHARED, comm.rank)
    memory, seen = None, {}
    with contextlib.suppress(AttributeError, OSError):  # no memfd (not Linux), or no memory left
        memory = own_memory() if machine.size > 1 else None
    try:
        own = (comm.rank, memory and memory.address)
        for rank, address in allgather_objects(machine, own, 0):
            seen[rank] = None if rank == comm.rank else PeerMemory(address)
    except OSError:  # containers on one machine may not see each other's processes
        seen = {}
    all_see = all(allgather_objects(machine, len(seen) == machine.size, 1))
    machine.Free()
    return (memory, seen) if all_see and memory else (None, {comm.rank: None})


def _group_ranks(machines: Sequence[int]) -> list[range]:
    """Contiguous ranges of ranks on one machine; `machines[rank]` is the lowest rank there.

    >>> _group_ranks([0, 0, 2, 2, 0])
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    groups = []
    for _, group in itertools.groupby(enumerate(machines), key=lambda pair: pair[1]):
        ranks = [rank for rank, _ in group]
        groups.append(range(ranks[0], ranks[-1] + 1))
    return groups
