"""Equations with triangular matrices, solved by substitution: BLAS's trsm."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import is_recorded
from dtrain.backend import Array, array_module

#: by dtype: with what the names of BLAS's functions begin
_BLAS_LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}


@op(takes_complex=True)
def solve_triangular(x: Array, y: Array, *, upper: bool, unitriangular: bool) -> OutputAndVJPs:
    """The solutions of x @ out = y by the upper or lower triangles of x, others are not read.

    With `unitriangular` the diagonals are not read, either, and taken as 1. A 0 on a diagonal gives
    infinity or NaN. x: (..., n, n); y: (..., n, k).
    """
    out = substitute(x, y, upper, unitriangular)

    @memoize_by_gradient
    def grad_y(g: Array) -> Array:
        return substitute(x.swapaxes(-1, -2), g, not upper, unitriangular)

    def grad_x(g: Array) -> Array:
        part = array_module(x).triu if upper else array_module(x).tril
        return part(-grad_y(g) @ out.swapaxes(-1, -2), (1 if upper else -1) if unitriangular else 0)

    return out, (grad_x, grad_y)


def substitute(x: Array, y: Array, upper: bool, unitriangular: bool = False) -> Array:
    """The solutions of x @ out = y by one triangle of x. x: (..., n, n); y: (..., n, k).

    In double backward the primitive `solve_triangular`.
    """
    if is_recorded(x) or is_recorded(y):
        solve: Any = array_module(x).linalg.solve_triangular
        return solve(x, y, upper=upper, unitriangular=unitriangular)
    if not y.size:
        return y.copy()
    if not isinstance(x, np.ndarray):
        solve = importlib.import_module("cupyx.scipy.linalg").solve_triangular
        return solve(x, y, lower=not upper, unit_diagonal=unitriangular)
    n, count = x.shape[-1], math.prod(x.shape[:-2])
    if count > 2 * n and n <= 16:
        return _substitute_rows(x, y, upper, unitriangular)
    return _call_trsm(x, y, upper, unitriangular)


def _call_trsm(x: np.ndarray, y: np.ndarray, upper: bool, unitriangular: bool) -> np.ndarray:
    """BLAS's trsm, matrix by matrix, of the transposes: in BLAS's order of memory, not copied."""
    blas = importlib.import_module("scipy.linalg.blas")
    trsm = getattr(blas, f"{_BLAS_LETTERS[x.dtype.char]}trsm")
    out = np.empty(y.shape, y.dtype)
    for i in np.ndindex(x.shape[:-2]):
        out[i] = trsm(1, x[i].T, y[i].T, side=1, lower=upper, diag=unitriangular).T
    return out


def _substitute_rows(x: np.ndarray, y: np.ndarray, upper: bool, unitriangular: bool) -> np.ndarray:
    """Row by row in all matrices at once: for many small ones."""
    out, n = y.copy(), x.shape[-1]
    for i in reversed(range(n)) if upper else range(n):
        known = slice(i + 1, n) if upper else slice(0, i)
        row = out[..., i : i + 1, :]
        if i != (n - 1 if upper else 0):
            row -= x[..., i : i + 1, known] @ out[..., known, :]
        if not unitriangular:
            row /= x[..., i : i + 1, i : i + 1]
    return out
