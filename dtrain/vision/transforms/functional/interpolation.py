"""`InterpolationMode`: torchvision's names for Pillow's filters and dtrain's interpolations."""

from __future__ import annotations

from enum import Enum
from typing import Any


class InterpolationMode(Enum):
    """How pixels between pixels are computed (torchvision's InterpolationMode)."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_FILTERS = {
    InterpolationMode.NEAREST: 0, InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1, InterpolationMode.BILINEAR: 2, InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4, InterpolationMode.HAMMING: 5,
}  # fmt: skip


def as_mode(interpolation: Any, function: str) -> InterpolationMode:
    """The mode of a mode, or of one of Pillow's numbers."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    for mode, number in _FILTERS.items():
        if isinstance(interpolation, int) and interpolation == number:
            return mode
    raise TypeError(
        f"{function}: expected interpolation to be an InterpolationMode or one of Pillow's "
        f"resampling filters, got {interpolation!r}"
    )


def pillow_filter(interpolation: Any, function: str) -> int:
    """Pillow's number of a mode."""
    return _FILTERS[as_mode(interpolation, function)]
