"""The gradient of an embedding table, without atomic additions."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.indexing import add_at, add_rows


def embedding_backward(g: Array, index: Array, rows: int) -> Array:
    """The gradient of the table, (rows, n); g: (count, n), index: (count,)."""
    import cupy

    out = cupy.zeros((rows, g.shape[1]), g.dtype)
    add = add_rows if g.dtype.kind in "fV" else add_at
    add(g, cupy.asarray(index), out)
    return out
