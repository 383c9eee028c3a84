"""The memory of tables (`call_tables.py`): frames, which later runs take again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dtrain.jit.array_places import Place

#: The elements of each array in a frame begin at a multiple of so many bytes.
ALIGNMENT = 64


class Frame:
    """The memory of one run of a table.

    arrays : those in it that are used afterwards, as long as the frame is taken
    """

    def __init__(self, size: int, memories: int, kept: Sequence[Place]):
        self._arena = np.empty(size + ALIGNMENT, np.uint8)
        start = -self._arena.ctypes.data % ALIGNMENT
        self.address = self._arena.ctypes.data + start
        self.memory = np.empty(memories, np.int64)
        self.arrays = tuple(
            np.ndarray(p.shape, p.dtype, self._arena, start + p.offset) for p in kept
        )


class TakenFrame:
    """A frame, which goes back to the others when nobody holds this."""

    __slots__ = ("_free", "frame")

    def __init__(self, free: list[Frame], make: Callable[[], Frame]):
        self._free = free
        try:
            self.frame = free.pop()
        except IndexError:
            self.frame = make()

    def __del__(self) -> None:
        self._free.append(self.frame)


def make_taker(size: int, memories: int, kept: Sequence[Place]) -> Callable[[], TakenFrame]:
    """A function that takes a frame of `size` bytes for a table with so many memories; of those
    that are free, or a new one."""
    free: list[Frame] = []

    def make() -> Frame:
        return Frame(size, memories, kept)

    def take() -> TakenFrame:
        return TakenFrame(free, make)

    return take
