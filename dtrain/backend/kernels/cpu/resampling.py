"""The product of a matrix of few entries a row with the lines of an array, in one pass."""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


@compiled
def _resample_rows(
    x: np.ndarray, columns: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> None:
    """x: (lines, n, inner), out: (lines, rows, inner)."""
    zero = x.dtype.type(0)
    for line in range(x.shape[0]):
        for i in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[line, i, c] = zero
            for j in range(columns.shape[1]):
                weight, k = weights[i, j], np.uintp(columns[i, j])
                if weight == weight:
                    for c in range(out.shape[2]):
                        out[line, i, c] += x[line, k, c] * weight


@compiled
def _resample_elements(
    x: np.ndarray, columns: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> None:
    """x: (lines, n), out: (lines, rows); columns and weights transposed."""
    zero = x.dtype.type(0)
    for line in range(x.shape[0]):
        for i in range(out.shape[1]):
            out[line, i] = zero
        for j in range(columns.shape[0]):
            for i in range(out.shape[1]):
                product = x[line, np.uintp(columns[j, i])] * weights[j, i]
                out[line, i] += product if weights[j, i] == weights[j, i] else zero


def resample(x: np.ndarray, axis: int, matrix: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The product of a matrix with each line of x along an axis."""
    columns, weights = matrix
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    lines, inner, rows = math.prod(before), math.prod(after), len(columns)
    out = np.empty((*before, rows, *after), x.dtype)
    weights, x = weights.astype(x.dtype), np.ascontiguousarray(x)
    if not out.size:
        return out
    if inner == 1:
        columns, weights = np.ascontiguousarray(columns.T), np.ascontiguousarray(weights.T)
        _resample_elements(x.reshape(lines, -1), columns, weights, out.reshape(lines, rows))
    else:
        shape = lines, x.shape[axis], inner
        _resample_rows(x.reshape(shape), columns, weights, out.reshape(lines, rows, inner))
    return out
