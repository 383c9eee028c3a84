"""PyTorch's signatures of variances, quantiles and counts."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend import array_module
from dtrain.backend.dtypes import is_floating
from dtrain.ops import arithmetic, comparison, index, reduce, rounding, sorting
from dtrain.ops.operators.elementwise import add, masked_fill, mul, sub
from dtrain.ops.operators.operands import checked_axis, place_of, to
from dtrain.ops.operators.reductions import mean, require_floating, sum
from dtrain.ops.operators.shapes import permute, reshape, squeeze, unsqueeze
from dtrain.ops.operators.sorting import sort


def var(
    input: Tensor, dim: Any = None, correction: float = 1, keepdim: bool = False, **unbiased: bool
) -> Tensor:
    """The variance, over count - correction (torch.var)."""
    if isinstance(dim, bool):  # var(unbiased), the old form
        dim, correction = None, int(dim)
    if "unbiased" in unbiased:
        correction = int(unbiased.pop("unbiased"))
    if unbiased:
        raise TypeError(f"var: unexpected arguments {sorted(unbiased)}")
    require_floating("var", input)
    return reduce.var(input, axis=checked_axis(input, dim), keepdims=keepdim, correction=correction)


def std(
    input: Tensor, dim: Any = None, correction: float = 1, keepdim: bool = False, **unbiased: bool
) -> Tensor:
    """The standard deviation, the root of `var` (torch.std)."""
    return arithmetic.root(var(input, dim, correction, keepdim, **unbiased))


def _average(input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    return mean(input, None if isinstance(dim, bool) else dim, keepdim)


def var_mean(
    input: Tensor, dim: Any = None, correction: float = 1, keepdim: bool = False, **unbiased: bool
) -> tuple[Tensor, Tensor]:
    """(variance, mean) (torch.var_mean)."""
    variance = var(input, dim, correction, keepdim, **unbiased)
    return variance, _average(input, dim, keepdim)


def std_mean(
    input: Tensor, dim: Any = None, correction: float = 1, keepdim: bool = False, **unbiased: bool
) -> tuple[Tensor, Tensor]:
    """(standard deviation, mean) (torch.std_mean)."""
    deviation = std(input, dim, correction, keepdim, **unbiased)
    return deviation, _average(input, dim, keepdim)


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The sum of what is not NaN (torch.nansum)."""
    input = input if dtype is None else to(input, dtype)
    if is_floating(input.dtype):
        input = masked_fill(input, comparison.isnan(input), 0)
    return sum(input, dim, keepdim)


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The mean of what is not NaN (torch.nanmean)."""
    input = input if dtype is None else to(input, dtype)
    require_floating("nanmean", input)
    count = sum(comparison.eq(input, input), dim, keepdim)
    return arithmetic.div(nansum(input, dim, keepdim), to(count, input.dtype))


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many are not zero (torch.count_nonzero)."""
    return reduce.count_nonzero(input, axis=checked_axis(input, dim))


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    require_floating(name, input)
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(f"{name}: interpolation {interpolation!r} is not in {_INTERPOLATIONS}")
    xp = array_module(input._array)
    levels = xp.asarray(q._array if isinstance(q, Tensor) else q, input.dtype)
    if isinstance(q, Tensor) and q.dtype != input.dtype:
        raise RuntimeError(f"{name}: expected q of dtype {input.dtype}, got {q.dtype}")
    if levels.ndim > 1 or not bool(((levels >= 0) & (levels <= 1)).all()):
        raise RuntimeError(f"{name}: expected q in [0, 1], a number or a vector, got {q}")
    if not input.numel():
        raise RuntimeError(f"{name}: expected elements, got a tensor of shape {input.shape}")
    place = 0 if dim is None else place_of(dim, input.ndim)
    lines = reshape(input, -1) if dim is None or not input.ndim else input
    others = [d for d in range(lines.ndim) if d != place]
    ordered = sort(permute(lines, *others, place)).values
    values = _at_ranks(ordered, levels.reshape(-1), interpolation, name == "nanquantile")
    values = permute(values, -1, *range(values.ndim - 1))
    if keepdim:
        ones = (1,) * input.ndim
        values = reshape(values, -1, *ones) if dim is None else values
        values = unsqueeze(values, place + 1) if dim is not None and input.ndim else values
    return values if levels.ndim else squeeze(values, 0)


def _at_ranks(ordered: Tensor, levels: Any, interpolation: str, ignore_nan: bool) -> Tensor:
    """The quantiles of sorted lines, along the last dimension."""
    ranks = sorting.quantile_ranks(ordered, q=levels, ignore_nan=ignore_nan)

    def at(places: Tensor) -> Tensor:
        return index.gather(ordered, axis=ordered.ndim - 1, index=places._array.astype("int64"))

    if interpolation == "nearest":
        return at(rounding.round(ranks))
    below, above = rounding.floor(ranks), rounding.ceil(ranks)
    if interpolation == "lower":
        return at(below)
    if interpolation == "higher":
        return at(above)
    lower, weight = at(below), 0.5 if interpolation == "midpoint" else sub(ranks, below)
    return add(lower, mul(sub(at(above), lower), weight))


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The quantiles q, a number or a vector, in a first dimension then (torch.quantile)."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The quantiles of what is not NaN, as `quantile` (torch.nanquantile)."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many are in each of `bins` equal parts of [min, max] (torch.histc).

    If min equals max, of what is between the smallest and the largest element.
    """
    require_floating("histc", input)
    if bins < 1 or min > max:
        raise RuntimeError(f"histc: expected bins > 0 and min <= max, got {bins}, {min}, {max}")
    if min == max and input.numel():
        min, max = float(input._array.min()), float(input._array.max())
    if min == max:
        min, max = min - 1, max + 1
    return sorting.histogram(input, bins=bins, low=min, high=max)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number is there, or the sum of its weights (torch.bincount)."""
    if is_floating(input.dtype):
        raise NotImplementedError(f"bincount: expected integers, got {input.dtype}")
    array = input._array
    if array.ndim != 1 or (array.size and int(array.min()) < 0):
        raise RuntimeError("bincount: expected 1-d non-negative integers")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(f"bincount: input has shape {input.shape}, weights {weights.shape}")
    values = None if weights is None else weights._array
    return sorting.bincount(input, weights=values, minlength=minlength)
