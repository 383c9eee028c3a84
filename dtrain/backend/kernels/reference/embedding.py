"""The gradient of a table whose rows were looked up."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def embedding_backward(g: Array, index: Array, rows: int) -> Array:
    """Add each row of g: (count, n) to the row `index` (count,) of zeros (rows, n), in order."""
    xp = array_module(g)
    out = xp.zeros((rows, g.shape[1]), g.dtype)
    xp.add.at(out, index, g)
    return out
