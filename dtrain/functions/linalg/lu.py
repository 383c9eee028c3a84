"""PyTorch's signatures of the factorization into triangles, P @ L @ U, and of its use."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd.grad_mode import is_grad_enabled
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, to_host
from dtrain.errors import LinAlgError
from dtrain.functions.autocast import autocasts
from dtrain.functions.diagonals import tril, triu
from dtrain.functions.joining import cat
from dtrain.functions.linalg.factorizations import check_matrices, mH, mT
from dtrain.functions.linalg.triangular import solve_triangular
from dtrain.functions.products import matmul, same_dtype
from dtrain.functions.shapes import narrow
from dtrain.primitives import indexing, linalg as primitives


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
    compact, order, pivots = primitives.lu_factors(check_matrices("lu", A).array)
    xp = array_module(compact)
    zero = compact.diagonal(0, -2, -1) == 0
    k = zero.shape[-1]
    first = xp.where(zero, xp.arange(1, k + 1), k + 1).min(-1) if k else xp.zeros(A.shape[:-2])
    info = xp.asarray(xp.where(first > k, 0, first)).astype("int32")
    square = A.shape[-2] == A.shape[-1]
    if not (square or (is_grad_enabled() and A.requires_grad)):
        return wrap(compact), wrap(pivots), order, info
    indices = xp.broadcast_to(order[..., None], A.shape)
    rows = indexing.gather(A, axis=A.ndim - 2, index=indices)
    return _compose(rows, compact), wrap(pivots), order, info


def _compose(rows: Tensor, compact: Any) -> Tensor:
    """The factors of A with its rows in order; those beyond a square follow from the square's."""
    m, n = rows.shape[-2:]
    k = min(m, n)
    square = narrow(narrow(rows, -2, 0, k), -1, 0, k)
    out = primitives.lu(square, compact=compact[..., :k, :k])
    if m < n:
        right = solve_triangular(out, narrow(rows, -1, k, n - k), upper=False, unitriangular=True)
        return cat([out, right], -1)
    if m > n:
        below = solve_triangular(out, narrow(rows, -2, k, m - k), upper=True, left=False)
        return cat([out, below], -2)
    return out


@autocasts
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """`lu_factor`, and where U has its first 0, from 1, or else 0 (torch.linalg.lu_factor_ex)."""
    both, pivots, _, info = _factored(A, pivot)
    if check_errors and info.any():
        raise LinAlgError("linalg.lu_factor_ex: U is singular: its diagonal has a 0")
    return LUFactorEx(both, pivots, wrap(info))


@autocasts
def lu_factor(A: Tensor, *, pivot: bool = True) -> LUFactor:
    """L below U in one matrix, and the exchanges of rows (torch.linalg.lu_factor)."""
    both, pivots, _, info = _factored(A, pivot)
    if info.any():
        raise LinAlgError("linalg.lu_factor: U is singular: its diagonal has a 0")
    return LUFactor(both, pivots)


@autocasts
def lu(A: Tensor, *, pivot: bool = True) -> PLU:
    """P, L, U with P @ L @ U = A (torch.linalg.lu)."""
    both, _, order, _ = _factored(A, pivot)
    return PLU(_permutation(both, order), *_triangles(both))


@autocasts
def torch_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:
    """L below U in one matrix, the exchanges, and info if wanted (torch.lu)."""
    both, pivots, info = lu_factor_ex(A, pivot=pivot)
    return (both, pivots, info) if get_infos else (both, pivots)


def _triangles(both: Tensor) -> tuple[Tensor, Tensor]:
    k = min(both.shape[-2:])
    lower = tril(narrow(both, -1, 0, k), -1)
    ones = array_module(both.array).eye(both.shape[-2], k, dtype=both.dtype)
    return lower + wrap(ones), triu(narrow(both, -2, 0, k))


def _permutation(both: Tensor, order: Any) -> Tensor:
    """The matrix P, with P @ A[order] = A."""
    xp = array_module(order)
    return wrap((order[..., None, :] == xp.arange(order.shape[-1])[:, None]).astype(both.dtype))


def _order_of(pivots: Tensor, rows: int) -> Any:
    """The order of rows after one exchange after the other."""
    swaps = to_host(pivots.array).reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    order = np.tile(np.arange(rows), (len(swaps), 1))
    lines = np.arange(len(swaps))
    for i in range(swaps.shape[-1]):
        to = swaps[:, i] - 1
        here = order[:, i].copy()
        order[:, i], order[lines, to] = order[lines, to], here
    return array_module(pivots.array).asarray(order.reshape(*pivots.shape[:-1], rows))


@autocasts
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> PLU:
    """P, L and U of what `lu_factor` gives (torch.lu_unpack)."""
    if unpack_pivots and LU_pivots.dtype != np.int32:
        raise RuntimeError(f"lu_unpack: expected pivots of dtype int32, got {LU_pivots.dtype}")
    none = wrap(array_module(LU_data.array).zeros(0, LU_data.dtype))
    order = _order_of(LU_pivots, LU_data.shape[-2]) if unpack_pivots else None
    parts = _triangles(LU_data) if unpack_data else (none, none)
    return PLU(none if order is None else _permutation(LU_data, order), *parts)


@autocasts
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A @ X = B, or X @ A = B if not `left`, from `lu_factor` of A (torch.linalg.lu_solve).

    With `adjoint` it is A.mH in place of A.
    """
    check_matrices("lu_solve", LU, square=True)
    if not left:
        return mH(lu_solve(LU, pivots, mH(B), adjoint=not adjoint))
    same_dtype(LU, B)
    p, lower, upper = lu_unpack(LU, pivots)
    if adjoint:
        half = solve_triangular(mH(upper), B, upper=False)
        return matmul(p, solve_triangular(mH(lower), half, upper=True, unitriangular=True))
    half = solve_triangular(lower, matmul(mT(p), B), upper=False, unitriangular=True)
    return solve_triangular(upper, half, upper=True)


@autocasts
def torch_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`lu_solve` with its arguments in another order (torch.lu_solve)."""
    return lu_solve(LU_data, LU_pivots, b)
