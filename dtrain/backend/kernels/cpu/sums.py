"""Sums of rows, in blocks as in losses.py: NumPy's take twice the time; sums of columns."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled

_BLOCK = 1 << 12


@compiled
def _sum_rows(x: np.ndarray, out: np.ndarray) -> None:
    """out[i] = the sum of x[i]."""
    rows, n = x.shape
    for row in range(rows):
        total = 0.0
        for start in range(0, n, _BLOCK):
            part, block = x.dtype.type(0), x[row, start : start + _BLOCK]
            for i in range(block.size):
                part += block[i]
            total += part
        out[row] = total


def sum_rows(x: np.ndarray) -> np.ndarray:
    """The sum of each row, (rows,)."""
    out = np.empty(len(x), x.dtype)
    _sum_rows(np.ascontiguousarray(x), out)
    return out


@compiled(fastmath=False)
def _add_rows(x: np.ndarray, out: np.ndarray) -> None:
    """Add the rows of x to out one after the other; four in a pass."""
    rows, n = x.shape
    i = 0
    while i + 4 <= rows:
        for j in range(n):
            out[j] = (((out[j] + x[i, j]) + x[i + 1, j]) + x[i + 2, j]) + x[i + 3, j]
        i += 4
    while i < rows:
        for j in range(n):
            out[j] += x[i, j]
        i += 1


def column_sums(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The sum of each column; has NumPy's bits, which adds otherwise where this calls it."""
    rows, n = x.shape
    if not rows or n < 2 or not x.flags.c_contiguous:
        total: np.ndarray = x.sum(0, out=out)
        return total
    out = np.empty(n, x.dtype) if out is None else out
    out[:] = x[0]
    _add_rows(x[1:], out)  # one after the other, as NumPy adds them
    return out
