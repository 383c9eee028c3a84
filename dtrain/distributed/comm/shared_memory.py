"""Shared memory of the ranks of one machine: each rank allocates its own, the others map it.

It is an anonymous file (memfd), which no path names: nothing is left behind however a rank ends,
and the size of /dev/shm does not limit it. A rank finds another's through /proc.
"""

from __future__ import annotations

import functools
import mmap
import os
import threading
import weakref
from dataclasses import dataclass

import numpy as np

_PAGE = mmap.ALLOCATIONGRANULARITY


@dataclass(frozen=True)
class Address:
    """Where another process of this machine finds a rank's memory."""

    pid: int
    fd: int
    token: bytes  # its first bytes; they differ if the pid belongs to another container


@dataclass(frozen=True, eq=False)
class _Segment:
    """A piece of the file, and this process's mapping of it."""

    offset: int
    map: mmap.mmap


class OwnMemory:
    """This rank's shared memory; an array's space is free again when nothing refers to it."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("dtrain")
        weakref.finalize(self, os.close, self._fd)
        self._lock = threading.Lock()  # a thread may reduce while another computes
        self._end = 0
        self._free: list[_Segment] = []
        #: by the id of the array that has it: to ask NumPy for an address takes 10 us in a step
        self._taken: dict[int, _Segment] = {}
        token = os.urandom(16)
        self._head = self._grow(len(token))
        self._head.map[: len(token)] = token
        self.address: Address = Address(os.getpid(), self._fd, token)

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        """An array of one dimension, not initialized."""
        nbytes = max(size * dtype.itemsize, 1)
        with self._lock:
            fitting = [s for s in self._free if nbytes <= len(s.map) <= 2 * nbytes + _PAGE]
            if fitting:
                segment = min(fitting, key=lambda s: len(s.map))
                self._free.remove(segment)
            else:
                segment = self._grow(nbytes)
        array = np.frombuffer(segment.map, dtype, size)
        self._taken[id(array)] = segment
        weakref.finalize(array, self._take_back, id(array))  # its views keep it alive
        return array

    def _take_back(self, key: int) -> None:
        self._free.append(self._taken.pop(key))

    def _grow(self, nbytes: int) -> _Segment:
        # Arrays of nearly the same size, as of a model's layers, use one segment in turn.
        unit = max(_PAGE, 1 << nbytes.bit_length() >> 7)
        length = -(-nbytes // unit) * unit
        os.posix_fallocate(self._fd, self._end, length)  # or fails here, not at a write, later
        segment = _Segment(self._end, mmap.mmap(self._fd, length, offset=self._end))
        self._end += length
        return segment

    def offset_of(self, array: np.ndarray) -> int | None:
        """Where in the file an array begins that `empty` has given; None of any other."""
        segment = self._taken.get(id(array))
        return None if segment is None else segment.offset


@functools.cache
def own_memory() -> OwnMemory:
    """This process's memory; raises AttributeError where there is none of the kind, or OSError."""
    return OwnMemory()


class PeerMemory:
    """Another rank's memory."""

    def __init__(self, address: Address | None):
        """Raises OSError if it cannot be reached, or is not what `address` tells."""
        if address is None:
            raise OSError("the other rank has no shared memory")
        self._fd = os.open(f"/proc/{address.pid}/fd/{address.fd}", os.O_RDWR)
        weakref.finalize(self, os.close, self._fd)
        self._bytes = np.empty(0, np.uint8)
        if self.at(0, len(address.token), np.dtype(np.uint8)).tobytes() != address.token:
            raise OSError(f"process {address.pid} is not the rank that it was told to be")

    def at(self, offset: int, size: int, dtype: np.dtype) -> np.ndarray:
        """The array that the other rank has there."""
        end = offset + size * dtype.itemsize
        if end > len(self._bytes):
            whole = os.fstat(self._fd).st_size
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._bytes = np.frombuffer(mmap.mmap(self._fd, whole, flags), np.uint8)
        return self._bytes[offset:end].view(dtype)


class Region:
    """One array in memory of its own, which several processes map; freed by the last of them.

    Parameters
    ----------
    descriptor : of the anonymous file, which is closed by `take_array`
    nbytes : the size of the file
    """

    def __init__(self, descriptor: int, nbytes: int):
        self._fd, self._nbytes = descriptor, nbytes
        #: for `open`: (process, descriptor, size)
        self.address: tuple[int, int, int] = (os.getpid(), descriptor, nbytes)

    @classmethod
    def create(cls, nbytes: int) -> Region:
        """Memory for others to open, until `take_array`; raises OSError where there is none."""
        length = max(-(-nbytes // _PAGE), 1) * _PAGE
        descriptor = os.memfd_create("dtrain")
        os.posix_fallocate(descriptor, 0, length)
        return cls(descriptor, length)

    @classmethod
    def open(cls, address: tuple[int, int, int]) -> Region:
        """The memory that another process has created."""
        pid, descriptor, nbytes = address
        return cls(os.open(f"/proc/{pid}/fd/{descriptor}", os.O_RDWR), nbytes)

    def take_array(self, size: int, dtype: np.dtype) -> np.ndarray:
        """The array, which keeps the memory; nobody can open it any more."""
        mapped = mmap.mmap(self._fd, self._nbytes)
        os.close(self._fd)
        return np.frombuffer(mapped, dtype, size)
