"""The gradient of a embedding table, without atomic additions."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each


def embedding_backward(g: Array, index: Array, rows: int) -> Array:
    """The gradient of the table, (rows, n); g: (count, n), index: (count,)."""
    import cupy

    out = cupy.zeros((rows, g.shape[1]), g.dtype)
    g, index = cupy.ascontiguousarray(g), index.astype("int64")
    order = cupy.argsort(index, kind="stable").astype("int64")
    for_each(
        "embedding", "embedding_backward", g.size, g, index[order], order, out, g.shape[1], len(g)
    )
    return out
