"""The product of a matrix of few entries a row with the lines of an array along an axis."""

from __future__ import annotations

import numpy as np

from dtrain.backend.array_module import Array, array_module


def resample(x: Array, axis: int, matrix: tuple[np.ndarray, np.ndarray]) -> Array:
    """matrix: columns and weights, both (rows, k) on the host; its row i has weights[i, j] in the
    column columns[i, j]. Where a row has fewer entries, weights are NaN."""
    xp = array_module(x)
    columns, weights = matrix
    out: Array = 0
    for each, factors in zip(columns.T, weights.T):
        part = xp.take(x, xp.asarray(each), axis)
        if (factors != 1).any():
            is_entry = ~np.isnan(factors)
            shape = (-1, *[1] * (x.ndim - axis - 1))
            part = part * xp.asarray(np.where(is_entry, factors, 0).astype(x.dtype)).reshape(shape)
            if not is_entry.all():
                part = xp.where(xp.asarray(is_entry).reshape(shape), part, 0)
        out = out + part
    if not columns.size:
        return xp.zeros((*x.shape[:axis], len(columns), *x.shape[axis + 1 :]), x.dtype)
    return out
