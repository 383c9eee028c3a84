"""GPU memory that the other ranks of a machine copy from (CUDA's inter-process memory).

A rank reads without the owner's help: ranks need not read alike, or as often.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array, on_device_of
from dtrain.distributed.comm.communicator import Communicator

#: by address: what another process may have open must not be freed before it closes that
_allocated: dict[int, Any] = {}


def empty_for_peers(size: int, like: Array) -> Array:
    """Allocate (size,) of the dtype and on the GPU of `like`, not initialized; apart from CuPy's
    memory pool, since another process opens whole allocations alone. `free_for_peers` frees it."""
    import cupy

    with on_device_of(like):
        memory = cupy.cuda.memory.Memory(max(size, 1) * like.dtype.itemsize)
        _allocated[memory.ptr] = memory
        return cupy.ndarray(size, like.dtype, cupy.cuda.memory.MemoryPointer(memory, 0))


def free_for_peers(own: Array) -> None:
    """Let an array of `empty_for_peers` be freed, which all ranks have closed."""
    _allocated.pop(own.data.ptr, None)


class PeerArrays:
    """The arrays of all ranks, each in its own GPU's memory, to copy from; `open_peers` makes them.

    Parameters
    ----------
    own : this rank's
    opened : the addresses of those that other processes have, to be closed at the end
    arrays : of all ranks, in their order
    """

    def __init__(self, own: Array, opened: Sequence[int], arrays: Sequence[Array]):
        self._own, self._opened = own, opened
        self.arrays: Sequence[Array] = arrays

    def close(self) -> None:
        """Give the other ranks' memory up, before they free it."""
        from cupy.cuda import runtime

        opened, self._opened = self._opened, ()
        self.arrays = [self._own]
        for pointer in opened:
            runtime.ipcCloseMemHandle(pointer)


def open_peers(comm: Communicator, own: Array) -> PeerArrays | None:
    """Open the other ranks' arrays; all ranks of `comm` call it.

    Parameters
    ----------
    own : this rank's, of `empty_for_peers`, of the same dtype on all ranks

    Returns
    -------
    None, on all ranks, if they are on several machines, or some GPU cannot read another's memory
    """
    from cupy.cuda import runtime

    exported = comm.allgather(_export(own), "the memory of a GPU")
    opened: list[int] = []
    arrays: list[Array] = []
    reason: str | None = None
    if comm.node_size < comm.size:
        reason = "the ranks are on several machines"
    try:
        for rank, (process, pointer, handle, size) in enumerate(exported):
            if rank == comm.rank:
                arrays.append(own)
            elif reason is None:
                if process != os.getpid():
                    with on_device_of(own):
                        pointer = runtime.ipcOpenMemHandle(handle)
                    opened.append(pointer)
                arrays.append(_array_at(pointer, size, own.dtype))
    except runtime.CUDARuntimeError as error:
        reason = str(error)
    peers = PeerArrays(own, opened, arrays)
    if any(comm.allgather(reason, "whether a GPU reads the memory of another")):
        peers.close()
        return None
    return peers


def _export(own: Array) -> tuple[int, int, bytes, int]:
    """What another rank needs: the process, the address, the handle and the number of elements."""
    from cupy.cuda import runtime

    with on_device_of(own):
        return os.getpid(), own.data.ptr, runtime.ipcGetMemHandle(own.data.ptr), len(own)


def _array_at(pointer: int, size: int, dtype: np.dtype) -> Any:
    """An array at an address of a GPU, whose memory somebody else owns."""
    import cupy

    memory = cupy.cuda.memory.UnownedMemory(pointer, max(size, 1) * dtype.itemsize, None)
    return cupy.ndarray(size, dtype, cupy.cuda.memory.MemoryPointer(memory, 0))
