"""Kernels of one launch: the mean of each row; the mean of two arrays, written to both."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block
from dtrain.backend.kernels.cuda.parts import contiguous


def row_means(x: Array) -> Array:
    """The mean of each row of x, (rows, n), by a block each."""
    import cupy

    (x,), out = contiguous(x), cupy.empty(len(x), x.dtype)
    for_each_block("reduction", "row_means", len(x), x, out, x.shape[1])
    return out


def mean_of_both(a: Array, b: Array, scale: float) -> None:
    """a = b = (a + b) scale; a, b: (n,)."""
    for_each("reduction", "mean_of_both", a.size, a, b, float(scale))
