"""Running sums along an axis, added in order: the bits of the reference."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.reference import scan as reference

_WIDE = 64  # elements of a slice from which on a call of NumPy for each slice is faster


@compiled(fastmath=False)
def _cumsum(x: np.ndarray, reverse: bool, out: np.ndarray) -> None:
    """out[i, k] = the sum of x[i, :k + 1], or of x[i, k:]."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        first = n - 1 if reverse else 0
        total = x[i, first]
        out[i, first] = total
        for k in range(1, n):
            at = n - 1 - k if reverse else k
            total += x[i, at]
            out[i, at] = total


def cumsum(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    """Sums up to each position along an axis; with `reverse`, from each position to the end."""
    if not x.size or not x.ndim:
        return reference.cumsum(x, axis, reverse)
    n = x.shape[axis]
    if axis in (-1, x.ndim - 1):
        out = np.empty(x.shape, x.dtype)
        _cumsum(np.ascontiguousarray(x).reshape(-1, n), reverse, out.reshape(-1, n))
        return out
    if x.size < _WIDE * n:
        return reference.cumsum(x, axis, reverse)
    out = np.empty(x.shape, x.dtype)
    slices, sums = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    if reverse:
        slices, sums = slices[::-1], sums[::-1]
    sums[0] = slices[0]
    for k in range(1, n):
        np.add(sums[k - 1], slices[k], sums[k])
    return out
