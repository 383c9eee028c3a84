"""Pinned host memory, from which a GPU copies by itself, beside the kernels that it runs.

A copy from pinned memory has a stream of its own: the current stream waits for the copy, but the
copy does not wait for the kernels that were launched before it. So the next batch arrives while
the GPU still computes the step of the last one.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
import weakref
from collections import deque
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.capture import refuse_host_array
from dtrain.backend.host_memory import take_host_memory

_HOST_MEMORY = 1  # cudaMemoryTypeHost: allocated or registered as pinned
_PORTABLE = 1  # cudaHostRegisterPortable: pinned for all devices


def is_pinned(array: np.ndarray) -> bool:
    """Whether a host array lies in pinned memory; does not import CuPy."""
    cupy = sys.modules.get("cupy")
    if cupy is None or not array.nbytes:
        return False
    try:
        attributes = cupy.cuda.runtime.pointerGetAttributes(array.ctypes.data)
    except cupy.cuda.runtime.CUDARuntimeError:  # no device
        return False
    return bool(attributes.type == _HOST_MEMORY)


def pin(array: np.ndarray) -> np.ndarray:
    """The array itself if it is pinned, else a copy in pinned memory."""
    if is_pinned(array):
        return array
    pinned = take_host_memory(array.shape, array.dtype, pinned=True)
    pinned[...] = array
    return pinned


def pin_mapping(array: np.ndarray) -> None:
    """Pin the mapped memory in which an array lies, which must stay mapped; nothing where the array
    lies in other memory, or the system allows no more."""
    owner: Any = array.base
    while isinstance(owner, (np.ndarray, memoryview)):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if not isinstance(owner, mmap.mmap) or is_pinned(array):
        return
    from cupy.cuda import runtime

    memory = np.frombuffer(owner, np.uint8)
    with contextlib.suppress(runtime.CUDARuntimeError):
        runtime.hostRegister(memory.ctypes.data, memory.nbytes, _PORTABLE)


class PinnedMapping(mmap.mmap):
    """A mapped file, `PinnedMapping(fd, nbytes)`, in memory that is pinned while it is mapped."""

    _address = 0

    def __init__(self, fd: int, nbytes: int) -> None:
        from cupy.cuda import runtime

        address = np.frombuffer(self, np.uint8).ctypes.data
        runtime.hostRegister(address, nbytes, _PORTABLE)
        self._address = address

    def __del__(self) -> None:
        if self._address and not sys.is_finalizing():
            from cupy.cuda import runtime

            runtime.hostUnregister(self._address)


class _CopyStream:
    """The stream on which one GPU copies from pinned memory.

    Device memory that a copy went to is read by kernels of another stream. When its arrays are
    gone, it waits in `_retired` for the kernels that were launched by then; a later copy that took
    it at once would overwrite what they read.
    """

    def __init__(self) -> None:
        import cupy

        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._reading: deque[tuple[Any, np.ndarray]] = deque()  # event, host array
        self._retired: deque[tuple[Any, Any]] = deque()  # event, device memory

    def copy(self, array: np.ndarray, wait: bool) -> Array:
        """A copy on the current device; wait: until the host array may change."""
        import cupy

        for waiting in (self._reading, self._retired):
            while waiting and waiting[0][0].done:
                waiting.popleft()
        consumer = cupy.cuda.get_current_stream()
        with self._stream:
            memory = cupy.cuda.alloc(array.nbytes)
        memory.copy_from_host_async(array.ctypes.data, array.nbytes, self._stream)
        copied = self._stream.record()
        consumer.wait_event(copied)
        if wait:
            copied.synchronize()
        else:
            self._reading.append((copied, array))
        owner = _Owner()
        weakref.finalize(owner, self._retire, memory, consumer).atexit = False
        seen = cupy.cuda.UnownedMemory(memory.ptr, array.nbytes, owner, memory.device_id)
        order = "C" if array.flags.c_contiguous else "F"
        start = cupy.cuda.MemoryPointer(seen, 0)
        return cupy.ndarray(array.shape, array.dtype, start, order=order)

    def _retire(self, memory: Any, consumer: Any) -> None:
        import cupy

        with cupy.cuda.Device(memory.device_id):
            self._retired.append((consumer.record(), memory))


class _Owner:
    """What the arrays in one piece of device memory keep alive."""


_streams: dict[int, _CopyStream] = {}  # by the number of the GPU


def copy_pinned(array: np.ndarray, wait: bool) -> Array:
    """A copy of a contiguous, pinned host array on the current device.

    Parameters
    ----------
    wait : until the copy has been made; else the host array may not be written to before that
    """
    import cupy

    refuse_host_array()
    index = cupy.cuda.runtime.getDevice()
    if index not in _streams:
        _streams[index] = _CopyStream()
    return _streams[index].copy(array, wait)
