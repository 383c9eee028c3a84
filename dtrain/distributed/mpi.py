"""The communicator over MPI. Device arrays pass through host memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array, array_module, to_host


class MpiCommunicator:
    """All ranks of an mpi4py communicator; every call blocks."""

    def __init__(self, comm: Any):
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()

    def barrier(self) -> None:
        self._comm.Barrier()

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return self._comm.bcast(value, root)

    def allgather(self, value: Any) -> list[Any]:
        return self._comm.allgather(value)

    def exchange(self, flat: Array, bounds: Sequence[int], senders: Sequence[int]) -> list[Array]:
        starts = [bound * flat.itemsize for bound in bounds]
        lengths = [b - a for a, b in zip(starts, starts[1:])]
        sent = lengths if self.rank in senders else [0] * self.size
        received = [lengths[self.rank] if rank in senders else 0 for rank in range(self.size)]
        inbox = np.empty((len(senders), lengths[self.rank]), np.uint8)
        self._comm.Alltoallv(
            [_bytes(to_host(flat)), (sent, starts[:-1]), self._mpi.BYTE],
            [inbox, received, self._mpi.BYTE],
        )
        xp = array_module(flat)
        return [xp.asarray(row.view(flat.dtype)) for row in inbox]

    def gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        host = to_host(flat)
        starts = [bound * host.itemsize for bound in bounds]
        lengths = [b - a for a, b in zip(starts, starts[1:])]
        self._comm.Allgatherv(
            self._mpi.IN_PLACE, [_bytes(host), (lengths, starts[:-1]), self._mpi.BYTE]
        )
        if host is not flat:
            flat.set(host)


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint8)
