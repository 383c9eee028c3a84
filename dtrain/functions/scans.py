"""PyTorch's signatures of running sums, products and extremes, and of differences."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import DTypeLike, is_floating
from dtrain.functions.arithmetic import sub
from dtrain.functions.autocast import autocasts
from dtrain.functions.comparison import logical_xor
from dtrain.functions.joining import cat
from dtrain.functions.operands import normalize_dim, resolve_axis, to
from dtrain.functions.reductions import ValuesAndIndices
from dtrain.functions.shapes import narrow
from dtrain.primitives import casts, indexing, scans as primitives


@autocasts
def cumsum(input: Tensor, dim: int, *, dtype: DTypeLike = None) -> Tensor:
    """Running sums along `dim` (torch.cumsum)."""
    input = input if dtype is None else to(input, dtype)
    out = primitives.cumsum(input, axis=resolve_axis(input, dim))
    return out if dtype is None else to(out, dtype)


@autocasts
def cumprod(input: Tensor, dim: int, *, dtype: DTypeLike = None) -> Tensor:
    """Running products along `dim` (torch.cumprod)."""
    input = input if dtype is None else to(input, dtype)
    out = primitives.cumprod(input, axis=resolve_axis(input, dim))
    return out if dtype is None else to(out, dtype)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(input))) along `dim`, without overflow (torch.logcumsumexp)."""
    if not is_floating(input.dtype):
        raise NotImplementedError(f"logcumsumexp: expected a floating dtype, got {input.dtype}")
    return primitives.logcumsumexp(input, axis=resolve_axis(input, dim))


def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """The maximum up to each position along `dim`, and its index (torch.cummax)."""
    return _cumulative_extreme(primitives.cummax_indices, input, dim)


def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """The minimum up to each position along `dim`, and its index (torch.cummin)."""
    return _cumulative_extreme(primitives.cummin_indices, input, dim)


def _cumulative_extreme(
    find_indices: Callable[..., Tensor], input: Tensor, dim: int
) -> ValuesAndIndices:
    axis = normalize_dim(dim, input.ndim)
    indices = find_indices(input, axis=axis)
    return ValuesAndIndices(indexing.gather(input, axis=axis, index=indices.array), indices)


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The differences of neighbours along `dim`, n times over (torch.diff)."""
    if not input.ndim:
        raise RuntimeError("diff: expected at least one dimension, got a 0-d tensor")
    if n < 0:
        raise RuntimeError(f"diff: expected n >= 0, got {n}")
    if not n:
        return casts.clone(input)
    parts = [part for part in (prepend, input, append) if part is not None]
    out = cat(parts, dim) if len(parts) > 1 else input
    minus = logical_xor if out.dtype.kind == "b" else sub
    for _ in range(n):
        count = max(out.size(dim) - 1, 0)
        out = minus(narrow(out, dim, out.size(dim) - count, count), narrow(out, dim, 0, count))
    return out
