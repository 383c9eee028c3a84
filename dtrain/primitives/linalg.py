"""Factorizations, inverses and determinants of (batches of) matrices, with their gradients.

The formulas are those of Giles (2008), Townsend (2016) and PyTorch. A rule has one output: what has
several parts (QR, eigenvectors with eigenvalues, SVD) gives them joined, one above the other.

Of complex matrices what is holomorphic has the rule of real ones. The others (Cholesky, QR, eigh,
SVD) have PyTorch's formulas for the gradient that users see, the conjugate of the one in the graph.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.autograd.gradient_array import conjugate
from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module
from dtrain.primitives.triangular import substitute


def _t(x: Array) -> Array:
    return x.swapaxes(-1, -2)


def _h(x: Array) -> Array:
    """Matrices transposed and conjugated."""
    return conjugate(_t(x))


def _real(x: Array) -> Array:
    """Numbers that are real, as such, from among complex ones."""
    return x.real if x.dtype.kind == "c" else x


def _skew(x: Array) -> Array:
    return x - _h(x)


def _over(x: Array, gaps: Array) -> Array:
    """x / gaps; zero stays zero, also where two values are equal."""
    xp = array_module(x)
    zero = x == 0
    return xp.where(zero, x, x / xp.where(zero, gaps.dtype.type(1), gaps))


def _spread_nan(x: Array, out: Array) -> Array:
    """`out`, all NaN where a matrix of x has NaN.

    LAPACK leaves finite numbers: its choice of pivots passes over NaN.
    """
    if isinstance(x, np.ndarray) and isinstance(out, np.ndarray):
        is_nan = np.isnan(x).any((-2, -1), keepdims=True)
        if is_nan.any():
            return np.where(is_nan, out.dtype.type(np.nan), out)
    return out


def _solve(x: Array, y: Array) -> Array:
    return _spread_nan(x, array_module(x).linalg.solve(x, y))


def _inverse_or_nan(x: Array) -> Array:
    """The inverses; NaN for singular matrices."""
    xp = array_module(x)
    try:
        return _spread_nan(x, xp.linalg.inv(x))
    except np.linalg.LinAlgError:
        is_singular = (xp.linalg.slogdet(x)[0] == 0)[..., None, None]
        out = xp.linalg.inv(xp.where(is_singular, xp.eye(x.shape[-1], dtype=x.dtype), x))
        return xp.where(is_singular, x.dtype.type(np.nan), _spread_nan(x, out))


@op(takes_complex=True)
def inv(x: Array) -> OutputAndVJPs:
    """The inverses."""
    out = _spread_nan(x, array_module(x).linalg.inv(x))
    return out, (lambda g: -_t(out) @ g @ _t(out),)


@op(takes_complex=True)
def solve(x: Array, y: Array) -> OutputAndVJPs:
    """The solutions of x @ out = y. x: (..., n, n); y: (..., n, k)."""
    out = _solve(x, y)

    def grad_x(g: Array) -> Array:
        return -_solve(_t(x), g) @ _t(out)

    return out, (grad_x, lambda g: _solve(_t(x), g))


@op(takes_complex=True)
def cholesky(x: Array) -> OutputAndVJPs:
    """The lower triangular L with L @ L.mH = x."""
    xp = array_module(x)
    out = xp.linalg.cholesky(x)
    if isinstance(out, np.ndarray) and not np.isfinite(np.diagonal(out, 0, -2, -1)).all():
        raise np.linalg.LinAlgError("Matrix is not positive definite")

    def grad_x(g: Array) -> Array:
        lower = xp.tril(_h(out) @ conjugate(g))
        left = substitute(_h(out), 0.5 * (lower + _h(xp.tril(lower, -1))), upper=True)
        return _t(substitute(_h(out), _h(left), upper=True))

    return out, (grad_x,)


def _mark_reflections(x: Array, q: Array, r: Array) -> tuple[Array, Array]:
    """Q and R, NaN from the first reflection on that is of a column with NaN or infinity.

    LAPACK takes the norms of such columns for finite ones. The last row has no reflection.
    """
    if not isinstance(x, np.ndarray) or np.isfinite(x).all():
        return q, r
    is_bad = ~np.isfinite(x).all(-2)
    first = np.where(is_bad.any(-1), is_bad.argmax(-1), x.shape[-2])[..., None]
    first = np.where(first < x.shape[-2] - 1, first, x.shape[-2])
    nan, columns, rows = q.dtype.type(np.nan), np.arange(q.shape[-1]), np.arange(r.shape[-2])
    upper = np.tri(*r.shape[:-3:-1], dtype=np.bool_).T
    return (
        np.where((columns >= first)[..., None, :], nan, q),
        np.where((rows >= first)[..., :, None] & upper, nan, r),
    )


@op(takes_complex=True)
def qr(x: Array) -> OutputAndVJPs:
    """Q (..., m, n) above R (..., n, n), for matrices with m >= n."""
    xp = array_module(x)
    m = x.shape[-2]
    out = xp.concatenate(_mark_reflections(x, *xp.linalg.qr(x)), -2)

    def grad_x(g: Array) -> Array:
        q, r = out[..., :m, :], out[..., m:, :]
        g = conjugate(g)
        grad_q, grad_r = g[..., :m, :], g[..., m:, :]
        half = xp.tril(r @ _h(grad_r) - _h(grad_q) @ q)
        half = half - 0.5 * half * xp.eye(half.shape[-1], dtype=half.dtype)
        both = half + _h(half)  # the diagonal is real, as that of R
        return _t(substitute(r, _h(grad_q + q @ both), upper=True))

    return out, (grad_x,)


@op(takes_complex=True)
def qr_complete(x: Array) -> OutputAndVJPs:
    """A square Q beside R, of the shape of x, for m > n; it has no gradient."""
    xp = array_module(x)
    q, r = _mark_reflections(x, *xp.linalg.qr(x, "complete"))

    def grad_x(g: Array) -> Array:
        raise RuntimeError(
            'linalg.qr: mode "complete" has no gradient for more rows than columns; use "reduced"'
        )

    return xp.concatenate([q, r], -1), (grad_x,)


def lu_factors(x: Array) -> tuple[Array, Array, Array]:
    """L below U in one matrix, the order of rows in it, and the exchanges that led there.

    x[order] = L @ U, with ones on the diagonal of L; exchanges count rows from 1, as LAPACK does.
    """
    xp = array_module(x)
    *lead, m, n = x.shape
    a = x.reshape(math.prod(lead), m, n).copy()
    lines, k = xp.arange(len(a)), min(m, n)
    order = xp.broadcast_to(xp.arange(m), (len(a), m)).copy()
    swaps = xp.zeros((len(a), k), "int32")
    for j in range(k):
        best = _pivot_sizes(a[:, j:, j]).argmax(1) + j
        swaps[:, j] = best + 1
        for rows in (a, order):
            here = rows[:, j].copy()
            rows[:, j], rows[lines, best] = rows[lines, best], here
        pivot = a[:, j : j + 1, j]
        a[:, j + 1 :, j] /= xp.where(pivot == 0, pivot.dtype.type(1), pivot)
        a[:, j + 1 :, j + 1 :] -= a[:, j + 1 :, j, None] * a[:, None, j, j + 1 :]
    return a.reshape(x.shape), order.reshape(*lead, m), swaps.reshape(*lead, k)


def _pivot_sizes(x: Array) -> Array:
    """By what LAPACK chooses the pivot: the largest |x|, of complex numbers |re| + |im|."""
    return abs(x.real) + abs(x.imag) if x.dtype.kind == "c" else abs(x)


@op(takes_complex=True)
def lu(x: Array, *, compact: Array) -> OutputAndVJPs:
    """L below U, found before, of square matrices whose rows are already in order."""
    xp = array_module(x)
    out = compact

    def grad_x(g: Array) -> Array:
        lower = xp.tril(out, -1) + xp.eye(out.shape[-1], dtype=out.dtype)
        inner = xp.tril(_t(lower) @ xp.tril(g, -1), -1)
        inner = inner + xp.triu(xp.triu(g) @ _t(xp.triu(out)))
        left = substitute(_t(lower), inner, upper=True, unitriangular=True)
        return _t(substitute(out, _t(left), upper=True))

    return out, (grad_x,)


@op(takes_complex=True)
def eigh(x: Array, *, uplo: str) -> OutputAndVJPs:
    """Eigenvectors, as columns, above the row of eigenvalues of Hermitian matrices."""
    xp = array_module(x)
    _require_finite(x)
    values, vectors = xp.linalg.eigh(x, uplo)
    out = xp.concatenate([vectors, values[..., None, :]], -2)

    def grad_x(g: Array) -> Array:
        vectors, values = out[..., :-1, :], _real(out[..., -1, :])
        gaps = values[..., None, :] - values[..., :, None]
        g = conjugate(g)
        inner = _h(vectors) @ g[..., :-1, :]
        eye = xp.eye(inner.shape[-1], dtype=g.dtype)
        inner = _over(inner * (1 - eye), gaps) + eye * _real(g[..., -1:, :])
        both = vectors @ inner @ _h(vectors)
        return conjugate(0.5 * (both + _h(both)))

    return out, (grad_x,)


@op(takes_complex=True)
def svd(x: Array) -> OutputAndVJPs:
    """U (..., m, k) above V (..., n, k) above the row of the k = min(m, n) singular values."""
    xp = array_module(x)
    u, s, vh = _svd(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    out = xp.concatenate([u, _h(vh), s[..., None, :]], -2)

    def grad_x(g: Array) -> Array:
        u, v, s = out[..., :m, :], out[..., m:-1, :], _real(out[..., -1, :])
        g, vh = conjugate(g), _h(v)
        grad_u, grad_v, grad_s = g[..., :m, :], g[..., m:-1, :], _real(g[..., -1, :])
        line, column = s[..., None, :], s[..., :, None]
        eye = xp.eye(k, dtype=g.dtype)
        gaps = (line - column) * (line + column) + eye
        turn_u, turn_v = _h(u) @ grad_u, vh @ grad_v
        inner = _over(_skew(turn_u), gaps) * line + column * _over(_skew(turn_v), gaps)
        if x.dtype.kind == "c":  # U and V may be turned together: each column by its own phase
            inner = inner * (1 - eye) + _over(eye * _skew(turn_u), 2 * line)
        grad = u @ (inner + eye * grad_s[..., None, :]) @ vh
        if m > k:
            grad = grad + _over(grad_u - u @ turn_u, line) @ vh
        if n > k:
            grad = grad + u @ _h(_over(grad_v - v @ turn_v, line))
        return conjugate(grad)

    return out, (grad_x,)


def _svd(x: Array, full_matrices: bool = False) -> tuple[Array, Array, Array]:
    """U, S, Vh. LAPACK does not return from some matrices with infinity."""
    _require_finite(x)
    return array_module(x).linalg.svd(x, full_matrices=full_matrices)


def _require_finite(x: Array) -> None:
    if isinstance(x, np.ndarray) and not np.isfinite(x).all():
        raise np.linalg.LinAlgError(
            "the input has NaN or infinity, for which the algorithm does not converge; expected "
            "finite numbers"
        )


@op(takes_complex=True)
def svdvals(x: Array) -> OutputAndVJPs:
    """The singular values, the largest first."""
    u, out, vh = _svd(x)
    return out, (lambda g: conjugate((u * g[..., None, :]) @ vh),)


@op(takes_complex=True)
def det(x: Array) -> OutputAndVJPs:
    """The determinants. Their gradients are the cofactors, also of matrices without an inverse."""
    xp = array_module(x)

    def grad_x(g: Array) -> Array:
        is_finite = xp.isfinite(x).all((-2, -1))[..., None, None]
        u, s, vh = _svd(xp.where(is_finite, x, 0), full_matrices=True)
        ones = xp.ones_like(s[..., :1])
        before = xp.cumprod(xp.concatenate([ones, s[..., :-1]], -1), -1)
        after = xp.cumprod(xp.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
        sign = xp.linalg.det(u) * xp.linalg.det(vh)
        cofactors = conjugate((u * (before * after)[..., None, :]) @ vh)
        return (g * sign)[..., None, None] * xp.where(is_finite, cofactors, float("nan"))

    return xp.linalg.det(x), (grad_x if x.size else lambda g: xp.zeros(x.shape, g.dtype),)


@op(takes_complex=True)
def logabsdet(x: Array) -> OutputAndVJPs:
    """The logarithms of the absolute determinants."""
    out = _spread_nan(x, array_module(x).linalg.slogdet(x)[1][..., None, None])[..., 0, 0]
    return out, (lambda g: g[..., None, None] * _t(_inverse_or_nan(x)),)


@op(takes_complex=True)
def sign_of_det(x: Array) -> OutputAndVJPs:
    """The signs of the determinants, 0 for NaN: real ones do not change, complex ones turn."""
    xp = array_module(x)
    sign, size = xp.linalg.slogdet(x)
    is_nan = xp.isnan(size) | xp.isnan(x).any((-2, -1))
    out = xp.where(is_nan, sign.dtype.type(0), sign)
    if x.dtype.kind != "c":
        shape = x.shape
        return out, (lambda g: xp.zeros(shape, g.dtype),)

    def grad_x(g: Array) -> Array:
        turn, is_singular = (g * out).imag[..., None, None], (out == 0)[..., None, None]
        return xp.where(is_singular, 0, 1j * turn * _t(_inverse_or_nan(x)))

    return out, (grad_x,)


@op(takes_complex=True)
def pinv(x: Array, *, atol: Array, rtol: Array, hermitian: bool = False) -> OutputAndVJPs:
    """The pseudoinverses (Moore-Penrose), by the singular values above atol and rtol * largest.

    If `hermitian` x is what its lower triangles say, and has the gradient of the whole.
    """
    xp = array_module(x)
    x = xp.tril(x) + _h(xp.tril(x, -1)) if hermitian else x
    u, s, vh = _svd(x)
    if s.shape[-1]:
        kept = s > xp.maximum(atol, rtol * s[..., :1])
        s = xp.where(kept, 1 / xp.where(kept, s, s.dtype.type(1)), s.dtype.type(0))
    out = _h(vh) @ (s[..., :, None] * _h(u))

    def grad_x(g: Array) -> Array:
        g = conjugate(g)
        back, turned = _h(out), _h(g)
        left = turned - x @ (out @ turned)
        right = turned - (turned @ out) @ x
        return conjugate(-back @ g @ back + left @ out @ back + back @ out @ right)

    return out, (grad_x,)


def machine_epsilon(dtype: Any) -> float:
    """The distance from 1 to the next number."""
    return float(np.finfo(dtype).eps)
