"""Means: of rows, and of the arrays of two ranks that share memory."""

from __future__ import annotations

from dtrain.backend.array_module import Array, pieces

_PIECE = 1 << 16  # elements


def row_means(x: Array) -> Array:
    """The mean of each row of x: (rows, n)."""
    return x.mean(1)


def mean_of_both(a: Array, b: Array, scale: float) -> None:
    """a = b = (a + b) * scale; a, b: (n,), scale: a number that their dtype represents exactly."""
    for piece in pieces(a, _PIECE):
        left, right = a[piece], b[piece]
        left += right
        if scale != 1:
            left *= a.dtype.type(scale)
        right[...] = left
