"""The gradient of a table whose rows were looked up."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.dtypes import float32, is_half


def embedding_backward(g: Array, index: Array, rows: int) -> Array:
    """Add each row of g: (count, n) to the row `index` (count,) of zeros (rows, n), in order."""
    xp = array_module(g)
    wide = g.astype(float32) if is_half(g.dtype) else g
    out = xp.zeros((rows, g.shape[1]), wide.dtype)
    xp.add.at(out, index, wide)
    return out if wide is g else out.astype(g.dtype)
