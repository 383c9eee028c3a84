"""`ExactSum`: a sum of floats without rounding, the same in any order and grouping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ExactSum:
    """The sum of floats, kept as floats that do not overlap (Shewchuk 1997).

    >>> float(ExactSum.of([1e16, 1.0]) + ExactSum.of([-1e16]))
    1.0
    """

    parts: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Iterable[float]) -> ExactSum:
        """The sum of some numbers."""
        parts: list[float] = []
        for value in values:
            _add(parts, float(value))
        return cls(tuple(parts))

    def __add__(self, other: ExactSum) -> ExactSum:
        return ExactSum.of(self.parts + other.parts)

    def __float__(self) -> float:
        """The sum, rounded once; infinity and NaN as in plain sums."""
        if all(map(math.isfinite, self.parts)):
            return math.fsum(self.parts)
        return sum(self.parts)


def _add(parts: list[float], x: float) -> None:
    """Add x to parts that do not overlap, in place: the rounding error of each sum is a part."""
    kept = []
    for y in parts:
        if abs(x) < abs(y):
            x, y = y, x
        total = x + y
        error = y - (total - x) if math.isfinite(total) else 0.0
        if error:
            kept.append(error)
        x = total
    parts[:] = [*kept, x]
