"""Collectives of device arrays through pinned host memory: where there is no NCCL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.backend import Array, is_cupy
from dtrain.backend.pinned import pin_mapping
from dtrain.distributed.comm.communicator import ArrayCollectives, Communicator


class HostStagedCollectives(ArrayCollectives):
    """Collectives of device arrays by collectives of copies in host memory."""

    def __init__(self, comm: Communicator):
        self._comm = comm

    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        host = [self._copy(partial) for partial in partials]
        self._comm.all_reduce(host, host[0], count, divisor)
        out.set(host[0])

    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        host = [self._copy(partial) for partial in partials]
        self._comm.reduce_scatter(host, host[0], bounds, count, divisor)
        own = slice(bounds[self._comm.rank], bounds[self._comm.rank + 1])
        out[own].set(host[0][own])

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        host = self._copy(flat)
        self._comm.all_gather_slices(host, bounds)
        flat.set(host)

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        host = self._copy(flat)
        self._comm.native_all_reduce(host, divisor)
        flat.set(host)

    def _copy(self, array: Array) -> np.ndarray:
        host = self._comm.empty(len(array), array.dtype)  # its memory is kept for others
        if is_cupy(array):
            pin_mapping(host)
        array.get(out=host)
        return host
