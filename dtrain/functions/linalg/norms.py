"""PyTorch's signatures of numbers about vectors and matrices: determinants, ranks, norms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import DTypeLike, is_floating, promote, real_dtype
from dtrain.functions import arithmetic, reductions
from dtrain.functions.autocast import autocasts
from dtrain.functions.exponentials import log
from dtrain.functions.indexing import masked_fill
from dtrain.functions.linalg.factorizations import (
    call_primitive,
    check_matrices,
    eigvalsh,
    replace_by_eye,
    svdvals,
)
from dtrain.functions.operands import Dims, normalize_dim, to_axis
from dtrain.functions.shapes import movedim, squeeze, unsqueeze
from dtrain.primitives import linalg as primitives

# --- determinants ---


def det(A: Tensor) -> Tensor:
    """The determinant (torch.linalg.det)."""
    return primitives.det(check_matrices("det", A, square=True))


class Slogdet(NamedTuple):
    """What `slogdet` gives."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(A: Tensor) -> Slogdet:
    """The sign of the determinant and the logarithm of its absolute value (linalg.slogdet)."""
    check_matrices("slogdet", A, square=True)
    return Slogdet(primitives.sign_of_det(A), primitives.logabsdet(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN if that is real and negative (torch.logdet)."""
    sign, size = slogdet(input)
    if sign.is_complex():
        return log(sign) + size
    return masked_fill(size, wrap(array_module(sign.array).asarray(sign.array < 0)), math.nan)


# --- ranks ---


def tolerances(A: Tensor, atol: Any, rtol: Any) -> tuple[Array, Array]:
    """atol and rtol as arrays of a last dimension of 1; by default (0, eps * max(m, n))."""
    xp = array_module(A.array)
    given = [t.array if isinstance(t, Tensor) else t for t in (atol, rtol)]
    dtype = real_dtype(A.dtype)
    absolute = xp.asarray(0 if given[0] is None else given[0], dtype)[..., None]
    if given[1] is not None:
        return absolute, xp.asarray(given[1], dtype)[..., None]
    default = primitives.machine_epsilon(dtype) * max(A.shape[-2:])
    return absolute, xp.where(absolute > 0, dtype.type(0), dtype.type(default))


@autocasts
def matrix_rank(
    A: Tensor,
    tol: float | Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
) -> Tensor:
    """How many singular values are above max(atol, rtol * largest) (torch.linalg.matrix_rank)."""
    check_matrices("matrix_rank", A)
    if tol is not None:
        atol, rtol = tol, 0.0
    plain = A.detach()
    s = (eigvalsh(plain).abs() if hermitian else svdvals(plain)).array
    xp = array_module(s)
    if not s.shape[-1]:
        return wrap(xp.zeros(s.shape[:-1], "int64"))
    absolute, relative = tolerances(A, atol, rtol)
    limit = xp.maximum(absolute, relative * s.max(-1, keepdims=True))
    return wrap(xp.asarray((s > limit).sum(-1)))


# --- norms ---


@autocasts
def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims | None = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike = None,
) -> Tensor:
    """(sum |x|^ord)^(1/ord) of all elements, or over `dim` (torch.linalg.vector_norm)."""
    x = _widened(x, dtype)
    x = arithmetic.abs(x) if x.is_complex() else x
    if not is_floating(x.dtype):
        raise RuntimeError(f"linalg.vector_norm: expected a floating dtype, got {x.dtype}")
    if not isinstance(ord, (int, float)):
        raise TypeError(f"linalg.vector_norm: expected a number for ord, got {ord!r}")
    dims = to_axis(range(x.ndim) if dim is None else dim)
    swept = [normalize_dim(d, x.ndim) for d in (dims if isinstance(dims, tuple) else (dims,))]
    if (ord < 0 or ord == math.inf) and any(not x.shape[d] for d in swept if x.ndim):
        raise RuntimeError(f"linalg.vector_norm: no elements have a norm of order {ord}")
    return reductions.norm(x, ord, dim, keepdim)


def _widened(x: Tensor, dtype: DTypeLike) -> Tensor:
    """The input in another dtype, which must not be a narrower one."""
    if dtype is None:
        return x
    if promote(x.dtype, np.dtype(dtype)) != dtype:
        raise RuntimeError(f"linalg.norm: {dtype} is narrower than the input's {x.dtype}")
    return x.to(dtype)


def _largest(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """The maximum along a dimension, of norms, whose least value is 0."""
    return x.amax(dim, keepdim) if x.shape[dim] else x.sum(dim, keepdim)


def _swept(name: str, A: Tensor, dim: Any) -> tuple[int, int]:
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) != 2:
        raise RuntimeError(f"linalg.{name}: expected two dimensions, got {dim}")
    rows, columns = (normalize_dim(d, A.ndim) for d in dims)
    if rows == columns:
        raise RuntimeError(f"linalg.{name}: expected two different dimensions, got {dim}")
    return rows, columns


@autocasts
def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: DTypeLike = None,
) -> Tensor:
    """The norm of matrices: "fro", "nuc", 1, 2, inf or their negatives (linalg.matrix_norm)."""
    A = _widened(A, dtype)
    if A.is_complex() and ord not in ("nuc", 2, -2):
        A = arithmetic.abs(A)
    if A.ndim < 2 or not (A.is_complex() or is_floating(A.dtype)):
        raise RuntimeError(
            f"linalg.matrix_norm: expected matrices of floats, got {A.dtype} and shape {A.shape}"
        )
    rows, columns = _swept("matrix_norm", A, dim)
    if ord not in ("fro", "nuc") and (
        not isinstance(ord, (int, float)) or abs(ord) not in (1, 2, math.inf)
    ):
        raise RuntimeError(f"linalg.matrix_norm: expected fro, nuc, ±1, ±2 or ±inf, got {ord!r}")
    if ord in ("nuc", 2, -2):
        s = svdvals(movedim(A, (rows, columns), (-2, -1)))
        out = s.sum(-1) if ord == "nuc" else _largest(s, -1) if ord == 2 else s.amin(-1)
        low, high = sorted((rows, columns))
        return unsqueeze(unsqueeze(out, low), high) if keepdim else out
    if ord == "fro":
        return reductions.norm(A, 2, (rows, columns), keepdim)
    assert not isinstance(ord, str)
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(summed, True)
    out = _largest(sums, kept, True) if ord > 0 else sums.amin(kept, True)
    return out if keepdim else squeeze(out, (rows, columns))


def norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Dims | None = None,
    keepdim: bool = False,
    *,
    dtype: DTypeLike = None,
) -> Tensor:
    """A vector or matrix norm, by `dim` and the number of dimensions (torch.linalg.norm)."""
    dims = to_axis(dim)
    if isinstance(dims, tuple) and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: expected one dimension or two, got {dim}")
    matrix = isinstance(dims, tuple) and len(dims) == 2
    if isinstance(ord, str) or (ord is not None and (matrix or (dims is None and A.ndim == 2))):
        return matrix_norm(A, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)
    if ord is not None and dims is None and A.ndim != 1:
        raise RuntimeError(f"linalg.norm: expected a vector or a matrix, got shape {A.shape}")
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


@autocasts
def torch_norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims | None = None,
    keepdim: bool = False,
    dtype: DTypeLike = None,
) -> Tensor:
    """The p-norm of all elements or over `dim`; "nuc" is that of matrices (torch.norm)."""
    if p == "nuc":
        dims = tuple(range(input.ndim)) if dim is None else dim
        return matrix_norm(input, "nuc", dims, keepdim, dtype=dtype)
    return reductions.norm(_widened(input, dtype), p, dim, keepdim)


@autocasts
def cond(A: Tensor, p: float | str | None = None) -> Tensor:
    """The condition number, by the norm p, 2 if None (torch.linalg.cond)."""
    check_matrices("cond", A)
    if p in (None, 2, -2):
        s = svdvals(A)
        if not A.numel():
            return s.sum(-1)
        large, small = s[..., 0], s[..., -1]
        return small / large if p == -2 else large / small
    check_matrices("cond", A, square=True)
    if not A.numel():
        return A.sum((-2, -1))
    xp = array_module(A.array)
    singular = wrap(xp.asarray(xp.linalg.slogdet(A.array)[0] == 0))
    inverse = call_primitive(primitives.inv, replace_by_eye(A, singular.array))
    return masked_fill(matrix_norm(A, p) * matrix_norm(inverse, p), singular, math.inf)
