"""PyTorch's signatures of variances, quantiles and counts."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, on_device_of
from dtrain.backend.dtypes import DTypeLike, int64, is_inexact
from dtrain.functions.arithmetic import lerp, mul, sub
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import as_tensor, tensor
from dtrain.functions.half_precision import in_float32
from dtrain.functions.indexing import where
from dtrain.functions.operands import Dims, normalize_dim, promote_pair, resolve_axis, to
from dtrain.functions.reductions import mean, norm, require_floating, sum
from dtrain.functions.shapes import permute, reshape, squeeze, unsqueeze
from dtrain.functions.sorting import sort
from dtrain.primitives import (
    arithmetic,
    comparison,
    complex_numbers,
    indexing,
    rounding,
    statistics as primitives,
)

R = TypeVar("R")


def _make_variance(
    operation: Callable[..., R], name: str, text: str, result: str = "Tensor"
) -> Callable[..., R]:
    """Make a function with the signature of torch.var; `result` is the annotation of its result.

    `unbiased` is the older form of `correction`.
    """

    def function(
        input: Tensor,
        dim: Dims | None = None,
        correction: float | None = None,
        keepdim: bool = False,
        *,
        unbiased: bool | None = None,
    ) -> R:
        if isinstance(dim, bool):  # var(input, unbiased), the oldest form
            correction, dim = int(dim), None
        if unbiased is not None:
            correction = int(unbiased)
        require_floating(name, input)
        return operation(input, dim, 1 if correction is None else correction, keepdim)

    function.__name__, function.__doc__ = name, f"{text} (torch.{name})."
    function.__annotations__["return"] = result
    return in_float32(function)


def _variance(input: Tensor, dim: Any, correction: float, keepdim: bool) -> Tensor:
    """The variance of all elements or over `dim`; of complex numbers that of both parts."""
    if input.is_complex():
        parts = (complex_numbers.real(input), complex_numbers.imag(input))
        return arithmetic.add(*(_variance(part, dim, correction, keepdim) for part in parts))
    return primitives.var(
        input, axis=resolve_axis(input, dim), keepdims=keepdim, correction=correction
    )


def _deviation(*args: Any) -> Tensor:
    """The root of `_variance`."""
    return arithmetic.safe_sqrt(_variance(*args))


var = _make_variance(_variance, "var", "The variance, over count - correction")
std = _make_variance(_deviation, "std", "The standard deviation, the root of `var`")
var_mean = _make_variance(
    lambda x, dim, correction, keepdim: (
        _variance(x, dim, correction, keepdim),
        mean(x, dim, keepdim),
    ),
    "var_mean",
    "(variance, mean)",
    "tuple[Tensor, Tensor]",
)
std_mean = _make_variance(
    lambda x, dim, correction, keepdim: (
        _deviation(x, dim, correction, keepdim),
        mean(x, dim, keepdim),
    ),
    "std_mean",
    "(standard deviation, mean)",
    "tuple[Tensor, Tensor]",
)


@autocasts
def nansum(
    input: Tensor, dim: Dims | None = None, keepdim: bool = False, *, dtype: DTypeLike = None
) -> Tensor:
    """The sum of the elements that are not NaN (torch.nansum)."""
    input = input if dtype is None else to(input, dtype)
    if not is_inexact(input.dtype):
        return sum(input, dim, keepdim)
    return primitives.nansum(input, axis=resolve_axis(input, dim), keepdims=keepdim)


def nanmean(
    input: Tensor, dim: Dims | None = None, keepdim: bool = False, *, dtype: DTypeLike = None
) -> Tensor:
    """The mean of the elements that are not NaN (torch.nanmean)."""
    input = input if dtype is None else to(input, dtype)
    require_floating("nanmean", input)
    return _mean_of_numbers(input, dim, keepdim)


@in_float32
def _mean_of_numbers(input: Tensor, dim: Dims | None, keepdim: bool) -> Tensor:
    count = sum(comparison.eq(input, input), dim, keepdim)
    return arithmetic.div(nansum(input, dim, keepdim), to(count, input.dtype))


def count_nonzero(input: Tensor, dim: Dims | None = None) -> Tensor:
    """The number of elements that are not zero (torch.count_nonzero)."""
    return primitives.count_nonzero(input, axis=resolve_axis(input, dim))


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    require_floating(name, input)
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(f"{name}: interpolation {interpolation!r} is not in {_INTERPOLATIONS}")
    levels = q if isinstance(q, Tensor) else tensor(q, dtype=input.dtype, device=input.device)
    if levels.dtype != input.dtype:
        raise RuntimeError(f"{name}: expected q of dtype {input.dtype}, got {levels.dtype}")
    inside = (levels.array >= 0) & (levels.array <= 1)
    if levels.ndim > 1 or not bool(inside.all()):
        raise RuntimeError(f"{name}: expected q in [0, 1], a number or a vector, got {q}")
    if not input.numel():
        raise RuntimeError(f"{name}: expected elements, got a tensor of shape {input.shape}")
    axis = 0 if dim is None else normalize_dim(dim, input.ndim)
    lines = reshape(input, -1) if dim is None or not input.ndim else input
    others = [d for d in range(lines.ndim) if d != axis]
    ordered = sort(permute(lines, *others, axis)).values
    values = _at_ranks(ordered, reshape(levels, -1), interpolation, name == "nanquantile")
    values = permute(values, -1, *range(values.ndim - 1))
    if keepdim:
        ones = (1,) * input.ndim
        values = reshape(values, -1, *ones) if dim is None else values
        values = unsqueeze(values, axis + 1) if dim is not None and input.ndim else values
    return values if levels.ndim else squeeze(values, 0)


def _at_ranks(ordered: Tensor, levels: Tensor, interpolation: str, ignore_nan: bool) -> Tensor:
    """The quantiles along the last dimension, which is sorted."""
    ranks = primitives.quantile_ranks(ordered, levels, ignore_nan=ignore_nan)

    def at(positions: Tensor) -> Tensor:
        return indexing.gather(ordered, axis=ordered.ndim - 1, index=positions.array.astype(int64))

    if interpolation == "nearest":
        return at(rounding.round(ranks))
    below, above = rounding.floor(ranks), rounding.ceil(ranks)
    if interpolation == "lower":
        return at(below)
    if interpolation == "higher":
        return at(above)
    weight = 0.5 if interpolation == "midpoint" else sub(ranks, below)
    return lerp(at(below), at(above), weight)


@autocasts
@in_float32
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The quantiles q, a number, or a vector for a new first dimension (torch.quantile)."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@autocasts
@in_float32
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """`quantile` of the elements that are not NaN (torch.nanquantile)."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """The number of elements in each of `bins` equal intervals of [min, max] (torch.histc).

    If min equals max, of what is between the smallest and the largest element.
    """
    require_floating("histc", input)
    if bins < 1 or min > max:
        raise RuntimeError(f"histc: expected bins > 0 and min <= max, got {bins}, {min}, {max}")
    if min == max and input.numel():
        min, max = float(input.array.min()), float(input.array.max())
    if not (math.isfinite(min) and math.isfinite(max)):
        raise RuntimeError(
            f"histc: expected a finite range, got [{min}, {max}]; give min and max, or replace "
            "what is not finite by nan_to_num"
        )
    if min == max:
        min, max = min - 1, max + 1
    return primitives.histogram(input, bins=bins, low=min, high=max)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """The number of occurrences of each integer, or the sum of their weights (torch.bincount)."""
    if is_inexact(input.dtype):
        raise NotImplementedError(f"bincount: expected integers, got {input.dtype}")
    array = input.array
    if array.ndim != 1 or (array.size and int(array.min()) < 0):
        raise RuntimeError("bincount: expected 1-d non-negative integers")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(f"bincount: input has shape {input.shape}, weights {weights.shape}")
    values = None if weights is None else weights.array
    return primitives.bincount(input, weights=values, minlength=minlength)


class CountsAndEdges(NamedTuple):
    """The result of `histogram`."""

    hist: Tensor
    bin_edges: Tensor


def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> CountsAndEdges:
    """The number of elements in each bin, or their weight, and the edges (torch.histogram).

    `bins` is a number of equal parts of `range`, or the edges; the last bin has its upper edge.
    """
    require_floating("histogram", input)
    xp, values = array_module(input.array), input.array.reshape(-1)
    if isinstance(bins, Tensor):
        edges = bins.array
    else:
        if bins < 1:
            raise RuntimeError(f"histogram: expected bins >= 1, got {bins}")
        low, high = range or ((values.min(), values.max()) if values.size else (0, 1))
        low, high = (float(low) - 0.5, float(high) + 0.5) if low == high else (low, high)
        edges = xp.linspace(float(low), float(high), bins + 1).astype(input.dtype)
    with on_device_of(values):
        counts = primitives.count_between(
            values, edges, None if weight is None else weight.array.reshape(-1)
        )
        if density:
            counts = counts / counts.sum() / (edges[1:] - edges[:-1])
        return CountsAndEdges(wrap(counts.astype(input.dtype)), wrap(xp.array(edges)))


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among the others (torch.isin)."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin: expected at least one tensor, got two numbers")
    x, y = (as_tensor(v) for v in promote_pair(elements, test_elements))
    return primitives.isin(x, among=y.array, invert=invert)


@autocasts
@in_float32
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Scale slices along `dim` down to a p-norm of at most `maxnorm` (torch.renorm)."""
    require_floating("renorm", input)
    if p <= 0 or maxnorm < 0 or input.ndim < 2:
        raise RuntimeError(
            f"renorm: expected p > 0, maxnorm >= 0 and two dimensions or more, got p={p}, "
            f"maxnorm={maxnorm} and shape {input.shape}"
        )
    axis = normalize_dim(dim, input.ndim)
    others = [d for d in builtins.range(input.ndim) if d != axis]
    is_longer = norm(input.detach(), p, others, True) > maxnorm
    longer = where(is_longer, input, 1.0)  # the norm of the others has no gradient, not even NaN
    factor = arithmetic.div(maxnorm, norm(longer, p, others, True) + 1e-7)
    return mul(input, where(is_longer, factor, 1.0))
