"""Conversions between dtypes, by the bits of numbers."""

from __future__ import annotations

import numpy as np

from dtrain.backend.dtypes import bfloat16
from dtrain.backend.kernels.cpu.compiler import compiled

_U = np.uint32


@compiled
def _round(x: np.ndarray, out: np.ndarray) -> None:
    """out = the upper halves of the float32 numbers whose bits are x, rounded; NaN is a quiet one
    of its sign."""
    for i in range(x.size):
        bits = x[i]
        rounded = (bits + _U(0x7FFF) + ((bits >> _U(16)) & _U(1))) >> _U(16)
        nan = ((bits >> _U(16)) & _U(0x8000)) | _U(0x7FC0)
        out[i] = nan if bits & _U(0x7FFFFFFF) > _U(0x7F800000) else rounded


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    """Round numbers to the nearest bfloat16 ones, ties to even."""
    if x.dtype != np.float32 or not x.flags.forc:
        return x.astype(bfloat16)
    out = np.empty_like(x, np.uint16, subok=False)
    _round(x.ravel("K").view(np.uint32), out.ravel("K"))
    return out.view(bfloat16)
