"""PyTorch's signatures of inverses, equations and functions of matrices (torch.linalg)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module
from dtrain.backend.dtypes import float64, real_dtype
from dtrain.errors import LinAlgError
from dtrain.functions import arithmetic, diagonals, products
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.functions.indexing import masked_fill, where
from dtrain.functions.joining import broadcast_shapes
from dtrain.functions.linalg.factorizations import (
    call_primitive,
    check_matrices,
    eye_like,
    mT,
    replace_by_eye,
    svdvals,
    zero_info,
)
from dtrain.functions.linalg.norms import matrix_rank, tolerances
from dtrain.functions.products import matmul, same_dtype
from dtrain.functions.shapes import broadcast_to, movedim, narrow, reshape, squeeze, unsqueeze
from dtrain.primitives import linalg as primitives


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Cross products along a dimension of size 3 (torch.linalg.cross)."""
    return products.cross(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, a view (torch.linalg.diagonal)."""
    return diagonals.diagonal(A, offset, dim1, dim2)


# --- inverses ---


@autocasts
def inv(A: Tensor) -> Tensor:
    """The inverse (torch.linalg.inv)."""
    return call_primitive(primitives.inv, check_matrices("inv", A, square=True))


inverse = inv


class InvEx(NamedTuple):
    """What `inv_ex` gives."""

    inverse: Tensor
    info: Tensor


@autocasts
def inv_ex(A: Tensor, *, check_errors: bool = False) -> InvEx:
    """`inv`, and where elimination met a 0, counted from 1, or 0 (torch.linalg.inv_ex).

    Where it did, the inverse is NaN.
    """
    check_matrices("inv_ex", A, square=True)
    try:
        return InvEx(inv(A), zero_info(A))
    except LinAlgError:
        if check_errors:
            raise
    info = _first_zero(A)
    return InvEx(_mark_singular(inv(replace_by_eye(A, info)), info), wrap(info))


def _mark_singular(out: Tensor, info: Any) -> Tensor:
    """The results, NaN for the matrices whose `info` is not 0."""
    return masked_fill(out, wrap(info[..., None, None] > 0), math.nan)


def _first_zero(A: Tensor) -> Any:
    """Which is the first 0 on the diagonal of U, counted from 1; 0 if there is none."""
    zero = primitives.lu_factors(A.array)[0].diagonal(0, -2, -1) == 0
    xp, n = array_module(zero), zero.shape[-1]
    first = xp.where(zero, xp.arange(1, n + 1), n + 1).min(-1)
    return xp.asarray(xp.where(first > n, 0, first)).astype("int32")


def pinv(
    A: Tensor,
    rcond: float | Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
) -> Tensor:
    """The pseudoinverse; singular values up to max(atol, rtol * largest) are 0 (linalg.pinv).

    With `hermitian` only the lower triangles count.
    """
    check_matrices("pinv", A)
    atol, rtol = tolerances(A, atol, rcond if rtol is None else rtol)
    return call_primitive(primitives.pinv, A, atol=atol, rtol=rtol, hermitian=hermitian)


@autocasts
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse (torch.pinverse)."""
    return pinv(input, rtol=rcond)


@autocasts
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its last dims to its first `ind` (torch.linalg.tensorinv)."""
    if ind < 1:
        raise RuntimeError(f"linalg.tensorinv: expected ind > 0, got {ind}")
    first, last = A.shape[:ind], A.shape[ind:]
    if math.prod(first) != math.prod(last):
        raise RuntimeError(f"linalg.tensorinv: the products of {first} and {last} are not equal")
    return reshape(inv(reshape(A, math.prod(first), math.prod(last))), (*last, *first))


# --- equations ---


@autocasts
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A @ X = B, or X @ A = B if not `left` (torch.linalg.solve)."""
    check_matrices("solve", A, square=True)
    same_dtype(A, B)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    if not left:
        if vector:
            raise RuntimeError("linalg.solve: with left=False B must hold matrices, no vectors")
        return mT(solve(mT(A), mT(B)))
    right = unsqueeze(B, -1) if vector else B
    if right.ndim < 2 or right.shape[-2] != A.shape[-1]:
        raise RuntimeError(f"linalg.solve: shapes {A.shape} and {B.shape} do not fit")
    lead = broadcast_shapes(A.shape[:-2], right.shape[:-2])
    out = call_primitive(
        primitives.solve, *(broadcast_to(x, (*lead, *x.shape[-2:])) for x in (A, right))
    )
    return squeeze(out, -1) if vector else out


class SolveEx(NamedTuple):
    """What `solve_ex` gives."""

    result: Tensor
    info: Tensor


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """`solve`, and where elimination met a 0, counted from 1, or 0 (torch.linalg.solve_ex).

    Where it did, the result is NaN.
    """
    try:
        return SolveEx(solve(A, B, left=left), zero_info(A))
    except LinAlgError:
        if check_errors:
            raise
    info = _first_zero(A)
    result = solve(replace_by_eye(A, info), B, left=left)
    is_vector = result.ndim < A.ndim
    marked = _mark_singular(unsqueeze(result, -1) if is_vector else result, info)
    return SolveEx(squeeze(marked, -1) if is_vector else marked, wrap(info))


@autocasts
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; `dims` of A go last first (torch.linalg.tensorsolve)."""
    if dims is not None:
        A = movedim(A, tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    full = A.shape[B.ndim :]
    if math.prod(full) != math.prod(A.shape[: B.ndim]):
        raise RuntimeError(
            f"linalg.tensorsolve: the dims of A {A.shape} for B {B.shape} are not as long as others"
        )
    square = reshape(A, B.numel(), math.prod(full))
    return reshape(solve(square, reshape(B, B.numel())), full)


class Solution(NamedTuple):
    """What `lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


@autocasts
def lstsq(
    A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> Solution:
    """X with the smallest ||A @ X - B|| (torch.linalg.lstsq), by the pseudoinverse.

    `driver` says what else is given: "gels" no rank, "gelsd" and "gelss" the singular values.
    """
    driver = driver or "gelsy"
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"linalg.lstsq: expected gels, gelsy, gelsd or gelss, got {driver!r}")
    check_matrices("lstsq", A)
    same_dtype(A, B)
    vector = B.ndim == A.ndim - 1
    right = unsqueeze(B, -1) if vector else B
    if right.ndim < 2 or right.shape[-2] != A.shape[-2]:
        raise RuntimeError(f"linalg.lstsq: shapes {A.shape} and {B.shape} do not fit")
    xp, (m, n) = array_module(A.array), A.shape[-2:]
    solution = matmul(pinv(A, rtol=rcond), right)
    rank = matrix_rank(A, rtol=rcond)
    none = wrap(xp.zeros(0, A.dtype))
    whole = driver != "gelsy" and m > n and bool((rank.array == n).all())
    apart = matmul(A, solution) - right
    apart = arithmetic.abs(apart) if apart.is_complex() else apart
    return Solution(
        squeeze(solution, -1) if vector else solution,
        (apart * apart).sum(-2) if whole else narrow(reshape(solution, -1), 0, 0, 0),
        wrap(xp.zeros(0, "int64")) if driver == "gels" else rank,
        svdvals(A.detach()) if driver in ("gelsd", "gelss") else none,
    )


# --- functions of a matrix ---


@in_float32
def matrix_power(A: Tensor, n: int) -> Tensor:
    """A @ A @ ..., n times; of the inverse if n is negative (torch.linalg.matrix_power)."""
    if n < 0:
        return matrix_power(inv(A), -n)
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: expected square matrices, got shape {A.shape}")
    if n == 0:
        nothing = array_module(A.array).ones(A.shape, bool)
        return masked_fill(A, wrap(nothing), 0) + eye_like(A)
    if n == 1:
        return A.clone()
    half = matrix_power(A, n // 2) if n > 3 else A
    out = matmul(half, half)
    return matmul(out, A) if n % 2 else out


#: up to which 1-norm the approximant is exact to rounding (Higham 2005, table 2.3; 2009)
_LIMITS = {3: 4.258730016922831e-1, 7: 3.925724783138660, 13: 5.371920351148152}
_PADE = {
    7: (17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1),
    13: (
        64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
        10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
    ),
}  # fmt: skip


@autocasts
def matrix_exp(A: Tensor) -> Tensor:
    """The sum of A^k / k! (torch.linalg.matrix_exp), by scaling and squaring (Higham, 2005)."""
    check_matrices("matrix_exp", A, square=True)
    if not A.numel():
        return A.clone()
    xp, order = array_module(A.array), 13 if real_dtype(A.dtype) == float64 else 7
    size = float(xp.abs(A.array).sum(-2).max())
    if not math.isfinite(size):
        is_finite = wrap(xp.isfinite(A.array).all((-2, -1), keepdims=True))
        return where(
            is_finite, matrix_exp(where(is_finite, A, 0.0)), where(is_finite, 0.0, A) * math.nan
        )
    squarings = max(0, math.ceil(math.log2(size / _LIMITS[order]))) if size else 0
    A = A / 2**squarings
    square, c = matmul(A, A), _PADE[order]
    power = odd = even = eye_like(A)
    odd, even = power * c[1], power * c[0]
    for i in range(2, len(c), 2):
        power = matmul(power, square)
        odd, even = odd + power * c[i + 1], even + power * c[i]
    odd = matmul(A, odd)
    out = solve(even - odd, even + odd)
    for _ in range(squarings):
        out = matmul(out, out)
    return out
