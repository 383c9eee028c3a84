"""The communicator over MPI. Device arrays pass through host memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array, to_host


class MpiCommunicator:
    """All ranks of an MPI communicator; all calls block."""

    def __init__(self, comm: Any):
        from mpi4py import MPI

        self._comm = comm
        self._byte = MPI.BYTE
        self.rank, self.size = comm.Get_rank(), comm.Get_size()

    def barrier(self) -> None:
        self._comm.Barrier()

    def broadcast(self, value: Any, root: int = 0) -> Any:
        if not hasattr(value, "shape") or not hasattr(value, "nbytes"):
            return self._comm.bcast(value, root)
        host = np.ascontiguousarray(to_host(value))
        self._comm.Bcast([_bytes(host), self._byte], root)
        value[...] = host if host.shape == value.shape else host.reshape(value.shape)
        return value

    def allgather(self, value: Any) -> list[Any]:
        return self._comm.allgather(value)

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        host = [to_host(part) for part in parts]
        own = host[self.rank]
        sent = [part.nbytes for part in host]
        received = self._comm.alltoall(sent)
        inbox = np.empty(sum(received), np.uint8)
        outbox = _bytes(np.concatenate(host)) if sum(sent) else inbox[:0]
        self._comm.Alltoallv([outbox, sent, self._byte], [inbox, received, self._byte])
        ends = np.cumsum([0, *received])
        return [inbox[a:b].view(own.dtype) for a, b in zip(ends, ends[1:])]

    def gather_slices(self, slices: Sequence[Array]) -> None:
        lengths = [part.nbytes for part in slices]
        inbox = np.empty(sum(lengths), np.uint8)
        own = _bytes(np.ascontiguousarray(to_host(slices[self.rank])))
        self._comm.Allgatherv([own, self._byte], [inbox, lengths, self._byte])
        ends = np.cumsum([0, *lengths])
        for part, a, b in zip(slices, ends, ends[1:]):
            part[...] = inbox[a:b].view(part.dtype)


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)
