"""Host memory that is taken ahead, to copy arrays to."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Iterable

import numpy as np

from dtrain.backend.array_module import Array, is_cupy


def take_host_memory(
    shape: tuple[int, ...], dtype: np.dtype, *, pinned: bool = False
) -> np.ndarray:
    """A host array whose pages the process has; pinned: which a GPU copies to by itself.

    The operating system gives a process each page of new memory when it is first written, which
    takes longer than to copy to that page.
    """
    if pinned:
        cupyx = importlib.import_module("cupyx")

        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return cupyx.empty_pinned(count, np.uint8).view(dtype).reshape(shape)
    array = np.empty(shape, dtype)
    array.reshape(-1).view(np.uint8)[:: mmap.PAGESIZE] = 0
    return array


def copy_to_host(copies: Iterable[tuple[Array, np.ndarray]]) -> None:
    """Copy arrays of any device to host arrays; GPUs are waited for once, at the end."""
    devices = {}
    for array, host in copies:
        if is_cupy(array):
            with array.device:
                array.get(out=host, blocking=False)
            devices[array.device.id] = array.device
        else:
            host[...] = array
    for device in devices.values():
        device.synchronize()
