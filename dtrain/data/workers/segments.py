"""Shared memory from a worker process to its loader: a batch is written once, and never pickled.

A segment is an anonymous file (memfd) that both map, so nothing is left behind however they end.
Its space is used again when the program has dropped the arrays that lie in it.
"""

from __future__ import annotations

import mmap
import os
import socket
import weakref
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from dtrain.backend.pinned import PinnedMapping

_ALIGNMENT = 64


class Written(NamedTuple):
    """Where data lies in a segment."""

    segment: int
    sizes: tuple[int, ...]
    is_new: bool  # its file follows
    dropped: tuple[int, ...]  # segments that are used no more


def create_segment(nbytes: int) -> tuple[int, mmap.mmap]:
    """A file descriptor, and the memory behind it."""
    fd = os.memfd_create("dtrain")
    try:
        os.posix_fallocate(fd, 0, nbytes)  # or fails here, not at a write, later
        return fd, mmap.mmap(fd, nbytes)
    except BaseException:
        os.close(fd)
        raise


def send_descriptor(conn: Connection, fd: int) -> None:
    """Send a file descriptor; the receiver does not answer, as that of multiprocessing may."""
    with socket.fromfd(conn.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as own:
        socket.send_fds(own, [b"d"], [fd])


def receive_descriptor(conn: Connection) -> int:
    """A file descriptor that `send_descriptor` has sent; raises EOFError if none comes."""
    with socket.fromfd(conn.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as own:
        _, descriptors, _, _ = socket.recv_fds(own, 1, 1)
    if not descriptors:
        raise EOFError("the connection has ended, a file descriptor was expected")
    return descriptors[0]


def lay_out(sizes: Sequence[int]) -> list[int]:
    """Where each of the parts begins, and where the last one ends.

    >>> lay_out([5, 100])
    [0, 64, 164]
    """
    starts, end = [], 0
    for size in sizes:
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        starts.append(start)
        end = start + size
    return [*starts, end]


def fill(memory: np.ndarray, parts: Sequence[bytes | memoryview]) -> None:
    """Copy the parts to their places."""
    for start, part in zip(lay_out([len(part) for part in parts]), parts):
        if len(part):
            memory[start : start + len(part)] = np.frombuffer(part, np.uint8)


def cut(memory: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """The parts of memory that `fill` has filled."""
    return [memory[start : start + size] for start, size in zip(lay_out(sizes), sizes)]


class SegmentWriter:
    """The segments of a worker."""

    def __init__(self) -> None:
        self._memory: dict[int, np.ndarray] = {}
        self._free: list[int] = []
        self._count = 0

    def write(self, parts: Sequence[bytes | memoryview]) -> tuple[Written, int | None]:
        """Write the parts to a segment; the file descriptor of a new one is the caller's."""
        sizes = tuple(len(part) for part in parts)
        nbytes = lay_out(sizes)[-1]
        fitting = [s for s in self._free if nbytes <= len(self._memory[s]) <= 4 * nbytes + 4096]
        fd: int | None = None
        dropped: tuple[int, ...] = ()
        if fitting:
            segment = min(fitting, key=lambda s: len(self._memory[s]))
            self._free.remove(segment)
        else:
            dropped, self._free = tuple(self._free), []  # batches have another size by now
            for unfit in dropped:
                del self._memory[unfit]
            segment, self._count = self._count, self._count + 1
            fd, mapped = create_segment(-(-nbytes // 4096) * 4096)
            self._memory[segment] = np.frombuffer(mapped, np.uint8)
        fill(self._memory[segment], parts)
        return Written(segment, sizes, fd is not None, dropped), fd

    def release(self, segment: int) -> None:
        """Note that nothing refers to the segment's data any more."""
        self._free.append(segment)


class SegmentReader:
    """A loader's view of the segments of one worker; pins: for copies to a GPU."""

    def __init__(self, pins: bool) -> None:
        self._pins = pins
        self._mapped: dict[int, mmap.mmap] = {}
        #: segments whose arrays are gone; the worker is told
        self.released: deque[int] = deque()

    def map(self, segment: int, fd: int) -> None:
        """Map a new segment; takes the file descriptor."""
        try:
            mapping = PinnedMapping if self._pins else mmap.mmap
            self._mapped[segment] = mapping(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def read(self, written: Written) -> list[np.ndarray]:
        """The parts of a segment, uint8, which is released when no array lies in them."""
        for segment in written.dropped:
            del self._mapped[segment]
        # The base of all its views: NumPy looks through an array for it, but not through a map.
        memory = np.frombuffer(self._mapped[written.segment], np.uint8)
        weakref.finalize(memory, self.released.append, written.segment).atexit = False
        return cut(memory, written.sizes)
