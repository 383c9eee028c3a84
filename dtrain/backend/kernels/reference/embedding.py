"""The gradient of a embedding table."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.dtypes import float32, is_half
from dtrain.backend.kernels.reference.indexing import add_at


def embedding_backward(g: Array, index: Array, rows: int) -> Array:
    """The gradient of the table, (rows, n): g[i] added to row index[i], i in ascending order.

    g: (count, n), the gradients of the rows that were looked up; index: (count,) integers.
    """
    xp = array_module(g)
    wide = g.astype(float32) if is_half(g.dtype) else g
    out = xp.zeros((rows, g.shape[1]), wide.dtype)
    add_at(wide, index, out)
    return out if wide is g else out.astype(g.dtype)
