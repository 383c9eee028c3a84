"""Conversions between dtypes."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.dtypes import bfloat16


def to_bfloat16(x: Array) -> Array:
    """Round numbers to the nearest bfloat16 ones, ties to even."""
    return x.astype(bfloat16)
