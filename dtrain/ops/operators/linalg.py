"""PyTorch's signatures of linear algebra (torch.linalg), batched over leading dimensions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module
from dtrain.backend.dtypes import is_floating
from dtrain.ops import linalg as rules
from dtrain.ops.operators import diagonals, products, reductions
from dtrain.ops.operators.diagonals import tril, triu
from dtrain.ops.operators.joining import broadcast_shapes, cat
from dtrain.ops.operators.operands import axis_of, place_of
from dtrain.ops.operators.products import matmul, same_dtype
from dtrain.ops.operators.shapes import (
    broadcast_to,
    narrow,
    squeeze,
    transpose,
    unsqueeze,
)


def _matrices(name: str, input: Tensor, square: bool = False) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError(f"linalg.{name}: expected matrices (..., m, n), got shape {input.shape}")
    if square and input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are "
            f"{input.shape[-2]} by {input.shape[-1]} matrices"
        )
    if not is_floating(input.dtype):
        raise RuntimeError(f"linalg.{name}: expected a floating dtype, got {input.dtype}")
    return input


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Cross products along a dimension of size 3 (torch.linalg.cross)."""
    return products.cross(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, a view (torch.linalg.diagonal)."""
    return diagonals.diagonal(A, offset, dim1, dim2)


# --- inverses and equations ---


def inv(A: Tensor) -> Tensor:
    """The inverse (torch.linalg.inv)."""
    return rules.inv(_matrices("inv", A, square=True))


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A @ X = B, or X @ A = B if not `left` (torch.linalg.solve)."""
    _matrices("solve", A, square=True)
    same_dtype(A, B)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    if not left:
        return transpose(solve(transpose(A, -2, -1), transpose(B, -2, -1)), -2, -1)
    right = unsqueeze(B, -1) if vector else B
    if right.shape[-2] != A.shape[-1]:
        raise RuntimeError(f"linalg.solve: shapes {A.shape} and {B.shape} do not fit")
    lead = broadcast_shapes(A.shape[:-2], right.shape[:-2])
    full = (broadcast_to(x, (*lead, *x.shape[-2:])) for x in (A, right))
    out = rules.solve(*full)
    return squeeze(out, -1) if vector else out


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """`solve` with only the upper or lower triangle of A (torch.linalg.solve_triangular)."""
    _matrices("solve_triangular", A, square=True)
    _matrices("solve_triangular", B)
    part = triu if upper else tril
    if unitriangular:
        xp = array_module(A._array)
        ones = wrap(xp.eye(A.shape[-1], dtype=A.dtype))
        A = part(A, 1 if upper else -1) + ones
    else:
        A = part(A)
    return solve(A, B, left=left)


def pinv(A: Tensor, *, atol: float | None = None, rtol: float | None = None) -> Tensor:
    """The pseudoinverse; singular values up to max(atol, rtol * largest) are 0 (linalg.pinv)."""
    _matrices("pinv", A)
    return rules.pinv(A, atol=atol or 0.0, rtol=_rtol(A, atol, rtol))


def _rtol(A: Tensor, atol: float | None, rtol: float | None) -> float:
    if rtol is not None:
        return rtol
    return 0.0 if atol else rules.eps_of(A.dtype) * max(A.shape[-2:])


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse (torch.pinverse)."""
    return pinv(input, rtol=rcond)


class Solution(NamedTuple):
    """What `lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: Any = None) -> Solution:
    """X with the smallest ||A @ X - B|| (torch.linalg.lstsq), by the pseudoinverse."""
    _matrices("lstsq", A)
    vector = B.ndim == A.ndim - 1
    right = unsqueeze(B, -1) if vector else B
    solution = matmul(pinv(A, rtol=rcond), right)
    apart = matmul(A, solution) - right
    residuals = (apart * apart).sum(-2)
    solution = squeeze(solution, -1) if vector else solution
    return Solution(solution, residuals, matrix_rank(A, rtol=rcond), svdvals(A))


inverse = inv


# --- factorizations ---


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with L @ L.mT = A, or its transpose if `upper` (torch.linalg.cholesky)."""
    out = rules.cholesky(_matrices("cholesky", A, square=True))
    return transpose(out, -2, -1) if upper else out


class QR(NamedTuple):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """Q with orthonormal columns and an upper triangular R: Q @ R = A (torch.linalg.qr)."""
    _matrices("qr", A)
    m, n = A.shape[-2:]
    if mode == "complete" and m > n:
        if A.requires_grad:
            raise NotImplementedError('linalg.qr: mode "complete" has no gradient; use "reduced"')
        q, r = array_module(A._array).linalg.qr(A._array, "complete")
        return QR(wrap(q), wrap(r))
    if mode not in ("reduced", "complete"):
        raise RuntimeError(f'linalg.qr: expected mode "reduced" or "complete", got {mode!r}')
    both = rules.qr(narrow(A, -1, 0, min(m, n)))
    q, r = narrow(both, -2, 0, m), narrow(both, -2, m, min(m, n))
    if m < n:  # the columns that are left follow from Q
        rest = matmul(transpose(q, -2, -1), narrow(A, -1, m, n - m))
        r = cat([r, rest], -1)
    return QR(q, r)


class Eigh(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """Eigenvalues, the smallest first, and eigenvectors of symmetric matrices (linalg.eigh)."""
    both = rules.eigh(_matrices("eigh", A, square=True), uplo=UPLO)
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


def svd(A: Tensor, full_matrices: bool = True) -> SVD:
    """U, S, Vh with U @ diag(S) @ Vh = A (torch.linalg.svd).

    With `full_matrices` the columns beyond the first min(m, n) have no gradient, as in PyTorch.
    """
    both = rules.svd(_matrices("svd", A))
    m, n = A.shape[-2:]
    k = min(m, n)
    u, v = narrow(both, -2, 0, m), narrow(both, -2, m, n)
    if full_matrices and m != n:
        whole = array_module(A._array).linalg.svd(A._array)
        u = cat([u, wrap(whole[0][..., k:])], -1)
        v = cat([v, wrap(whole[2][..., k:, :].swapaxes(-1, -2))], -1)
    return SVD(u, squeeze(narrow(both, -2, m + n, 1), -2), transpose(v, -2, -1))


def svdvals(A: Tensor) -> Tensor:
    """The singular values, the largest first (torch.linalg.svdvals)."""
    return rules.svdvals(_matrices("svdvals", A))


# --- numbers about a matrix ---


def det(A: Tensor) -> Tensor:
    """The determinant (torch.linalg.det)."""
    return rules.det(_matrices("det", A, square=True))


class Slogdet(NamedTuple):
    """What `slogdet` gives."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(A: Tensor) -> Slogdet:
    """The sign of the determinant and the logarithm of its absolute value (linalg.slogdet)."""
    _matrices("slogdet", A, square=True)
    return Slogdet(rules.sign_of_det(A), rules.logabsdet(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN if that is negative (torch.logdet)."""
    sign, size = slogdet(input)
    xp = array_module(sign._array)
    nothing = xp.where(sign._array < 0, xp.nan, 0).astype(size.dtype)
    return size + wrap(nothing)


def matrix_rank(A: Tensor, *, atol: float | None = None, rtol: float | None = None) -> Tensor:
    """How many singular values are above max(atol, rtol * largest) (torch.linalg.matrix_rank)."""
    s = svdvals(A.detach())._array
    if not s.shape[-1]:
        return wrap(array_module(s).zeros(s.shape[:-1], "int64"))
    xp = array_module(s)
    limit = xp.maximum(s.dtype.type(atol or 0), s.dtype.type(_rtol(A, atol, rtol)) * s[..., :1])
    return wrap(xp.asarray((s > limit).sum(-1)))


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A @ A @ ..., n times; of the inverse if n is negative (torch.linalg.matrix_power)."""
    if n < 0:
        return matrix_power(inv(A), -n)
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: expected square matrices, got shape {A.shape}")
    if n == 0:
        xp = array_module(A._array)
        return wrap(xp.broadcast_to(xp.eye(A.shape[-1], dtype=A.dtype), A.shape).copy())
    if n == 1:
        return A.clone()
    half = matrix_power(A, n // 2) if n > 3 else A
    out = matmul(half, half)
    return matmul(out, A) if n % 2 else out


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) of all elements, or over `dim` (torch.linalg.vector_norm)."""
    x = x if dtype is None else x.to(dtype)
    if not is_floating(x.dtype):
        raise RuntimeError(f"linalg.vector_norm: expected a floating dtype, got {x.dtype}")
    if ord == 0:
        return x.ne(0).to(x.dtype).sum(dim, keepdim)
    if ord in (math.inf, -math.inf):
        extreme = reductions.amax if ord > 0 else reductions.amin
        return extreme(x.abs(), dim, keepdim)
    return reductions.norm(x, ord, dim, keepdim)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of matrices: "fro", "nuc", 1, 2, inf or their negatives (linalg.matrix_norm)."""
    A = _matrices("matrix_norm", A if dtype is None else A.to(dtype))
    rows, columns = (place_of(d, A.ndim) for d in dim)
    if ord in ("nuc", 2, -2):
        s = svdvals(A.movedim((rows, columns), (-2, -1)))
        out = {"nuc": s.sum, 2: s.amax, -2: s.amin}[ord](-1)
        return unsqueeze(unsqueeze(out, min(dim := (rows, columns))), max(dim)) if keepdim else out
    if ord == "fro":
        return reductions.norm(A, 2, (rows, columns), keepdim)
    if abs(ord) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: expected fro, nuc, ±1, ±2 or ±inf, got {ord!r}")
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(summed, True)
    out = (sums.amax if ord > 0 else sums.amin)(kept, True)
    return out if keepdim else squeeze(out, (rows, columns))


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A vector or matrix norm, by `dim` and the number of dimensions (torch.linalg.norm)."""
    dims = axis_of(dim)
    matrix = isinstance(dims, tuple) and len(dims) == 2
    if ord is not None and (matrix or (dims is None and A.ndim == 2)):
        return matrix_norm(A, ord, dims or (-2, -1), keepdim, dtype=dtype)
    if ord is not None and dims is None and A.ndim != 1:
        raise RuntimeError(f"linalg.norm: expected a vector or a matrix, got shape {A.shape}")
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
