"""`Transform`, the base of the transforms, and their random numbers, from dtrain's generator.

In a loader a sample's draws depend on (seed, epoch, sample index), whichever rank or worker loads
it; elsewhere on the seed and on the draws before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend import default_generator
from dtrain.nn import Module


class Transform(Module):
    """A callable with options, which `repr` shows; a Module, so that Sequential takes it."""

    #: the names of the options that `repr` shows
    shown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={_show(getattr(self, name))}" for name in self.shown)
        return f"{type(self).__name__}({options})"


class RandomTransform(Transform):
    """Changes an image with probability `p`; a subclass defines `_change`."""

    shown: tuple[str, ...] = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p: float = check_probability(p, self)

    def forward(self, img: Any) -> Any:
        """The image, changed or as it is."""
        return self._change(img) if happens(self.p) else img

    def _change(self, img: Any) -> Any:
        raise NotImplementedError


def _show(value: Any) -> Any:
    return getattr(value, "value", value)


def draw_uniforms(count: int) -> list[float]:
    """Numbers in [0, 1), of 53 bits."""
    return [(word >> 11) * 2.0**-53 for word in default_generator().bits(np, count).tolist()]


def draw_uniform(low: float, high: float) -> float:
    """A number in [low, high)."""
    return low + (high - low) * draw_uniforms(1)[0]


def draw_integer(low: int, high: int) -> int:
    """An integer in [low, high)."""
    return low + int(draw_uniforms(1)[0] * (high - low))


def draw_order(count: int) -> list[int]:
    """A permutation of range(count)."""
    return np.argsort(draw_uniforms(count), kind="stable").tolist()


def happens(p: float) -> bool:
    """True with probability `p`."""
    return draw_uniforms(1)[0] < p


def check_probability(p: float, transform: Any) -> float:
    """`p`, a number from 0 to 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{type(transform).__name__}: expected p from 0 to 1, got {p!r}")
    return p


def as_range(
    value: Any, name: str, transform: Any, low: float | None = None, high: float | None = None
) -> tuple[float, float]:
    """(-value, value) of a number >= 0, or the two given numbers, within [low, high]."""
    kind = type(transform).__name__
    if np.ndim(value) == 0:
        if value < 0:
            raise ValueError(f"{kind}: expected {name} >= 0 or (low, high), got {value!r}")
        first, last = -float(value), float(value)
    else:
        if len(value) != 2 or not value[0] <= value[1]:
            raise ValueError(f"{kind}: expected {name} (low, high), got {value!r}")
        first, last = float(value[0]), float(value[1])
    if (low is not None and first < low) or (high is not None and last > high):
        raise ValueError(f"{kind}: expected {name} from {low} to {high}, got {value!r}")
    return first, last
