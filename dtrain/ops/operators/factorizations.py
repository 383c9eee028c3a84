"""PyTorch's signatures of factorizations of (batches of) matrices: Cholesky, QR, LU, eigh, SVD."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd.grad_mode import is_grad_enabled
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, to_host
from dtrain.backend.dtypes import float16, is_floating
from dtrain.errors import LinAlgError
from dtrain.ops import index as index_rules
from dtrain.ops import linalg as rules
from dtrain.ops.operators.diagonals import tril, triu
from dtrain.ops.operators.joining import broadcast_shapes, cat
from dtrain.ops.operators.products import matmul, same_dtype
from dtrain.ops.operators.shapes import broadcast_to, narrow, reshape, squeeze, transpose


def matrices(name: str, input: Tensor, square: bool = False) -> Tensor:
    """The input, which must hold matrices of float32 or float64, square ones if so said."""
    if input.ndim < 2:
        raise RuntimeError(f"linalg.{name}: expected matrices (..., m, n), got shape {input.shape}")
    if square and input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are "
            f"{input.shape[-2]} by {input.shape[-1]} matrices"
        )
    if not is_floating(input.dtype) or input.dtype == float16:
        raise RuntimeError(f"linalg.{name}: expected float32 or float64, got {input.dtype}")
    return input


def solved(rule: Callable[..., Tensor], *inputs: Tensor, **static: Any) -> Tensor:
    """What a rule gives; matrices for which there is no result raise LinAlgError."""
    try:
        return rule(*inputs, **static)
    except RuntimeError as error:
        if isinstance(error.__cause__, np.linalg.LinAlgError):
            raise LinAlgError(f"linalg.{error}") from error.__cause__
        raise


def mT(x: Tensor) -> Tensor:
    """Matrices transposed."""
    return transpose(x, -2, -1)


def eye_like(A: Tensor, n: int | None = None) -> Tensor:
    """The unit matrix with as many rows as A, or n, in its dtype and place."""
    return wrap(array_module(A._array).eye(A.shape[-2] if n is None else n, dtype=A.dtype))


# --- Cholesky ---


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with L @ L.mT = A, or its transpose if `upper` (torch.linalg.cholesky)."""
    matrices("cholesky", A, square=True)
    out = solved(rules.cholesky, mT(A) if upper else A)
    return mT(out) if upper else out


class CholeskyEx(NamedTuple):
    """What `cholesky_ex` gives."""

    L: Tensor
    info: Tensor


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """`cholesky`, and which leading minor is not positive, or 0 (torch.linalg.cholesky_ex).

    Where there is such a minor, L means nothing.
    """
    try:
        return CholeskyEx(cholesky(A, upper=upper), no_errors(A))
    except LinAlgError:
        if check_errors:
            raise
    host = to_host(A._array).reshape(-1, *A.shape[-2:])
    minors = np.array([_first_bad_minor(a.T if upper else a) for a in host], np.int32)
    info = array_module(A._array).asarray(minors.reshape(A.shape[:-2]))
    L = cholesky(replaced_by_eye(A, info), upper=upper)
    return CholeskyEx(L, wrap(info))


def _first_bad_minor(matrix: np.ndarray) -> int:
    for size in range(1, len(matrix) + 1):
        try:
            np.linalg.cholesky(matrix[:size, :size])
        except np.linalg.LinAlgError:
            return size
    return 0


def no_errors(A: Tensor) -> Tensor:
    """The info of matrices for which all went well."""
    return wrap(array_module(A._array).zeros(A.shape[:-2], "int32"))


def replaced_by_eye(A: Tensor, info: Any) -> Tensor:
    """The unit matrix in place of those for which something went wrong."""
    return index_rules.where(eye_like(A), A, condition=info[..., None, None] > 0)


# --- QR ---


class QR(NamedTuple):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """Q with orthonormal columns and an upper triangular R: Q @ R = A (torch.linalg.qr).

    `mode` is "reduced", "complete" (a square Q, without a gradient for more rows than columns) or
    "r" (no Q).
    """
    matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f'linalg.qr: expected mode "reduced", "complete" or "r", got {mode!r}')
    m, n = A.shape[-2:]
    k = min(m, n)
    if mode == "complete" and m > n:
        both = rules.qr_complete(A)
        return QR(narrow(both, -1, 0, m), narrow(both, -1, m, n))
    both = rules.qr(narrow(A, -1, 0, k))
    q, r = narrow(both, -2, 0, m), narrow(both, -2, m, k)
    if m < n:  # the columns that are left follow from Q
        r = cat([r, matmul(mT(q), narrow(A, -1, m, n - m))], -1)
    return QR(narrow(reshape(q, -1), 0, 0, 0) if mode == "r" else q, r)


def torch_qr(input: Tensor, some: bool = True) -> QR:
    """The reduced, or the complete, QR factorization (torch.qr)."""
    return qr(input, "reduced" if some else "complete")


# --- eigenvalues and singular values ---


class Eigh(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """Eigenvalues, the smallest first, and eigenvectors of symmetric matrices (linalg.eigh)."""
    matrices("eigh", A, square=True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f'linalg.eigh: expected UPLO "L" or "U", got {UPLO!r}')
    both = solved(rules.eigh, A, uplo=UPLO.upper())
    n = A.shape[-1]
    return Eigh(squeeze(narrow(both, -2, n, 1), -2), narrow(both, -2, 0, n))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, the smallest first (torch.linalg.eigvalsh)."""
    return eigh(A, UPLO).eigenvalues


class SVD(NamedTuple):
    """What `svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """U, S, Vh with U @ diag(S) @ Vh = A (torch.linalg.svd).

    With `full_matrices` the columns beyond the first min(m, n) have no gradient, as in PyTorch.
    """
    _no_driver(driver)
    both = solved(rules.svd, matrices("svd", A))
    m, n = A.shape[-2:]
    k = min(m, n)
    u, v = narrow(both, -2, 0, m), narrow(both, -2, m, n)
    if full_matrices and m != n:
        whole = array_module(A._array).linalg.svd(A._array)
        u = cat([u, wrap(whole[0][..., k:])], -1)
        v = cat([v, wrap(whole[2][..., k:, :].swapaxes(-1, -2))], -1)
    return SVD(u, squeeze(narrow(both, -2, m + n, 1), -2), mT(v))


def _no_driver(driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(f"linalg.svd: there is no choice of drivers, got {driver!r}")


class TorchSVD(NamedTuple):
    """What `torch_svd` gives."""

    U: Tensor
    S: Tensor
    V: Tensor


def torch_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> TorchSVD:
    """U, S, V with U @ diag(S) @ V.mT = input (torch.svd)."""
    if not compute_uv:
        xp, (m, n) = array_module(input._array), input.shape[-2:]
        none = [wrap(xp.zeros((*input.shape[:-2], size, size), input.dtype)) for size in (m, n)]
        return TorchSVD(none[0], svdvals(input), none[1])
    u, s, vh = svd(input, not some)
    return TorchSVD(u, s, mT(vh))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, the largest first (torch.linalg.svdvals)."""
    _no_driver(driver)
    return solved(rules.svdvals, matrices("svdvals", A))


# --- LU ---


class LUFactor(NamedTuple):
    """What `lu_factor` gives."""

    LU: Tensor
    pivots: Tensor


class LUFactorEx(NamedTuple):
    """What `lu_factor_ex` gives."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class PLU(NamedTuple):
    """What `lu` gives."""

    P: Tensor
    L: Tensor
    U: Tensor


def _factored(A: Tensor, pivot: bool) -> tuple[Tensor, Tensor, Any, Any]:
    """L below U in one matrix, the exchanges of rows, and the order of rows and the first 0."""
    if not pivot:
        raise RuntimeError("linalg.lu: LU without pivoting is not implemented")
    compact, order, pivots = rules.lu_factors(matrices("lu", A)._array)
    xp = array_module(compact)
    zero = compact.diagonal(0, -2, -1) == 0
    k = zero.shape[-1]
    first = xp.where(zero, xp.arange(1, k + 1), k + 1).min(-1) if k else xp.zeros(A.shape[:-2])
    info = xp.asarray(xp.where(first > k, 0, first)).astype("int32")
    square = A.shape[-2] == A.shape[-1]
    if not (square or (is_grad_enabled() and A.requires_grad)):
        return wrap(compact), wrap(pivots), order, info
    places = xp.broadcast_to(order[..., None], A.shape)
    rows = index_rules.gather(A, axis=A.ndim - 2, index=places)
    return _compose(rows, compact), wrap(pivots), order, info


def _compose(rows: Tensor, compact: Any) -> Tensor:
    """The factors of A with its rows in order; those beyond a square follow from the square's."""
    m, n = rows.shape[-2:]
    k = min(m, n)
    square = narrow(narrow(rows, -2, 0, k), -1, 0, k)
    out = rules.lu(square, compact=compact[..., :k, :k])
    if m < n:
        right = solve_triangular(out, narrow(rows, -1, k, n - k), upper=False, unitriangular=True)
        return cat([out, right], -1)
    if m > n:
        below = solve_triangular(out, narrow(rows, -2, k, m - k), upper=True, left=False)
        return cat([out, below], -2)
    return out


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """`lu_factor`, and where U has its first 0, from 1, or else 0 (torch.linalg.lu_factor_ex)."""
    both, pivots, _, info = _factored(A, pivot)
    if check_errors and info.any():
        raise LinAlgError("linalg.lu_factor_ex: U is singular: its diagonal has a 0")
    return LUFactorEx(both, pivots, wrap(info))


def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """L below U in one matrix, and the exchanges of rows (torch.linalg.lu_factor)."""
    both, pivots, _, info = _factored(A, pivot)
    if info.any():
        raise LinAlgError("linalg.lu_factor: U is singular: its diagonal has a 0")
    return LUFactor(both, pivots)


def lu(A: Tensor, *, pivot: bool = True) -> PLU:
    """P, L, U with P @ L @ U = A (torch.linalg.lu)."""
    both, _, order, _ = _factored(A, pivot)
    return PLU(_permutation(both, order), *_triangles(both))


def torch_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:
    """L below U in one matrix, the exchanges, and info if wanted (torch.lu)."""
    both, pivots, info = lu_factor_ex(A, pivot=pivot)
    return (both, pivots, info) if get_infos else (both, pivots)


def _triangles(both: Tensor) -> tuple[Tensor, Tensor]:
    k = min(both.shape[-2:])
    lower = tril(narrow(both, -1, 0, k), -1)
    ones = array_module(both._array).eye(both.shape[-2], k, dtype=both.dtype)
    return lower + wrap(ones), triu(narrow(both, -2, 0, k))


def _permutation(both: Tensor, order: Any) -> Tensor:
    """The matrix P, with P @ A[order] = A."""
    xp = array_module(order)
    return wrap((order[..., None, :] == xp.arange(order.shape[-1])[:, None]).astype(both.dtype))


def _order_of(pivots: Tensor, rows: int) -> Any:
    """The order of rows after one exchange after the other."""
    swaps = to_host(pivots._array).reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    order = np.tile(np.arange(rows), (len(swaps), 1))
    lines = np.arange(len(swaps))
    for i in range(swaps.shape[-1]):
        to = swaps[:, i] - 1
        here = order[:, i].copy()
        order[:, i], order[lines, to] = order[lines, to], here
    return array_module(pivots._array).asarray(order.reshape(*pivots.shape[:-1], rows))


def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> PLU:
    """P, L and U of what `lu_factor` gives (torch.lu_unpack)."""
    if unpack_pivots and LU_pivots.dtype != np.int32:
        raise RuntimeError(f"lu_unpack: expected pivots of dtype int32, got {LU_pivots.dtype}")
    none = wrap(array_module(LU_data._array).zeros(0, LU_data.dtype))
    order = _order_of(LU_pivots, LU_data.shape[-2]) if unpack_pivots else None
    parts = _triangles(LU_data) if unpack_data else (none, none)
    return PLU(none if order is None else _permutation(LU_data, order), *parts)


def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A @ X = B, or X @ A = B if not `left`, from `lu_factor` of A (torch.linalg.lu_solve).

    With `adjoint` it is A.mT in place of A.
    """
    matrices("lu_solve", LU, square=True)
    if not left:
        return mT(lu_solve(LU, pivots, mT(B), adjoint=not adjoint))
    same_dtype(LU, B)
    p, lower, upper = lu_unpack(LU, pivots)
    if adjoint:
        half = solve_triangular(mT(upper), B, upper=False)
        return matmul(p, solve_triangular(mT(lower), half, upper=True, unitriangular=True))
    half = solve_triangular(lower, matmul(mT(p), B), upper=False, unitriangular=True)
    return solve_triangular(upper, half, upper=True)


def torch_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`lu_solve` with its arguments in another order (torch.lu_solve)."""
    return lu_solve(LU_data, LU_pivots, b)


# --- triangular equations ---


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """`solve` with only the upper or lower triangle of A (torch.linalg.solve_triangular)."""
    matrices("solve_triangular", A, square=True)
    matrices("solve_triangular", B)
    same_dtype(A, B)
    if not left:
        flipped = solve_triangular(mT(A), mT(B), upper=not upper, unitriangular=unitriangular)
        return mT(flipped)
    if A.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"linalg.solve_triangular: {A.shape} and {B.shape} do not fit")
    part = triu if upper else tril
    A = part(A, 1 if upper else -1) + eye_like(A) if unitriangular else part(A)
    lead = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return solved(rules.solve, *(broadcast_to(x, (*lead, *x.shape[-2:])) for x in (A, B)))


class TriangularSolve(NamedTuple):
    """What `triangular_solve` gives."""

    solution: Tensor
    cloned_coefficient: Tensor


def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> TriangularSolve:
    """`solve_triangular`, and a copy of A (torch.triangular_solve)."""
    if transpose:
        solution = solve_triangular(mT(A), b, upper=not upper, unitriangular=unitriangular)
    else:
        solution = solve_triangular(A, b, upper=upper, unitriangular=unitriangular)
    return TriangularSolve(solution, A.clone())


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with L @ L.mT @ X = B, or L.mT @ L @ X = B if `upper` (torch.cholesky_solve)."""
    lower = mT(L) if upper else L
    return solve_triangular(mT(lower), solve_triangular(lower, B, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is L (torch.cholesky_inverse)."""
    return cholesky_solve(eye_like(matrices("cholesky_inverse", L, square=True)), L, upper)


def torch_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The Cholesky factor (torch.cholesky)."""
    return cholesky(input, upper=upper)
