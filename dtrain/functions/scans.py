"""PyTorch's signatures of running sums, products and extremes, and of differences."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions.arithmetic import sub
from dtrain.functions.comparison import logical_xor
from dtrain.functions.joining import cat
from dtrain.functions.operands import checked_axis, place_of, to
from dtrain.functions.reductions import ValuesAndIndices
from dtrain.functions.shapes import narrow
from dtrain.primitives import casts, indexing, scans


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along `dim` (torch.cumsum)."""
    input = input if dtype is None else to(input, dtype)
    out = scans.cumsum(input, axis=checked_axis(input, dim))
    return out if dtype is None else to(out, dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along `dim` (torch.cumprod)."""
    input = input if dtype is None else to(input, dtype)
    out = scans.cumprod(input, axis=checked_axis(input, dim))
    return out if dtype is None else to(out, dtype)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(input))) along `dim`, without overflow (torch.logcumsumexp)."""
    if not is_floating(input.dtype):
        raise NotImplementedError(f"logcumsumexp: expected a floating dtype, got {input.dtype}")
    return scans.logcumsumexp(input, axis=checked_axis(input, dim))


def _running(input: Tensor, dim: int, largest: bool) -> ValuesAndIndices:
    axis = place_of(dim, input.ndim)
    places = scans.running_extreme(input, axis=axis, largest=largest)
    return ValuesAndIndices(indexing.gather(input, axis=axis, index=places.array), places)


def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """The maximum up to each place along `dim`, and where it is (torch.cummax)."""
    return _running(input, dim, largest=True)


def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """The minimum up to each place along `dim`, and where it is (torch.cummin)."""
    return _running(input, dim, largest=False)


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
    minus = logical_xor if out.dtype == "bool" else sub
    for _ in range(n):
        count = max(out.size(dim) - 1, 0)
        out = minus(narrow(out, dim, out.size(dim) - count, count), narrow(out, dim, 0, count))
    return out
