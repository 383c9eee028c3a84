"""Arrays that existed before a function was recorded, which it may write to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


class OutsideArrays:
    """The arrays from outside of a function, and their values before it wrote to them."""

    def __init__(self) -> None:
        self._arrays: list[Any] = []
        self._overwritten: list[tuple[Any, Any]] = []

    def add(self, array: Any) -> None:
        """Add an array that existed before."""
        self._arrays.append(array)

    def has(self, array: Any) -> bool:
        """Whether an array may share memory with one of them."""
        return not isinstance(array, np.ndarray) or overlaps(array, self._arrays)

    def keep(self, written: Iterable[Any]) -> None:
        """Keep a copy of the arrays that a call is about to write to."""
        for array in written:
            if self.has(array) and all(array is not kept for kept, _ in self._overwritten):
                self._overwritten.append((array, array.copy()))

    def undo_writes(self) -> None:
        """Write the kept copies back."""
        for array, values in reversed(self._overwritten):
            array[...] = values


def overlaps(array: Any, others: Iterable[Any]) -> bool:
    """Whether an array on the host may share memory with one of the others."""
    return any(
        isinstance(other, np.ndarray) and np.may_share_memory(array, other) for other in others
    )
