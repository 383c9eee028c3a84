"""Variance, counts, quantiles and histograms."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, is_cupy, kernels
from dtrain.backend.array_module import to_sortable
from dtrain.primitives.reductions import Axis, count_reduced, expand_reduced


@op
def var(
    x: Array, *, axis: Axis = None, keepdims: bool = False, correction: float = 1
) -> OutputAndVJPs:
    """The variance: squared deviations from the mean, over count - correction."""
    xp = array_module(x)
    divisor = max(count_reduced(x.shape, axis) - correction, 0)
    scale = 1 / divisor if divisor else float("inf")

    def centered() -> Array:
        return x - x.mean(axis, keepdims=True) if x.size else x

    out = xp.sum(xp.square(centered()), axis, keepdims=keepdims) * scale
    return out, (lambda g: expand_reduced(g * (2 * scale), x.shape, axis, keepdims) * centered(),)


@op
def nansum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """The sum of what is not NaN; the gradient of NaN is 0 * g."""
    out = array_module(x).where(x == x, x, 0).sum(axis, keepdims=keepdims)
    return out, (lambda g: expand_reduced(g, x.shape, axis, keepdims) * (x == x),)


@op(takes_complex=True)
def count_nonzero(x: Array, *, axis: Axis = None) -> OutputAndVJPs:
    """The number of elements that are not zero; NaN is not zero."""
    return (x != 0).sum(axis, dtype="int64"), ()


@op
def quantile_ranks(x: Array, q: Array, *, ignore_nan: bool) -> OutputAndVJPs:
    """The fractional index of each quantile in the sorted last axis: (..., len(q)), x's dtype."""
    xp = array_module(x)
    n = x.shape[-1]
    missing = (x != x).sum(-1, keepdims=True)
    if ignore_nan:
        last = xp.maximum(n - missing - 1, 0)
        ranks = q * last
    else:
        last = xp.where(missing > 0, 0, n - 1)
        ranks = xp.where(missing > 0, n - 1, q * last)
    return ranks.astype(x.dtype), (lambda g: xp.zeros(x.shape, g.dtype), lambda g: g * last)


@op
def histogram(x: Array, *, bins: int, low: float, high: float) -> OutputAndVJPs:
    """The number of elements in each of `bins` equal intervals of [low, high], in x's dtype."""
    xp = array_module(x)
    x = x.reshape(-1)
    x = x[(x >= low) & (x <= high)]
    part = ((x - low) / (high - low) * bins).astype("int64")
    return xp.bincount(xp.minimum(part, bins - 1), minlength=bins).astype(x.dtype), ()


def _weighted_counts(x: Array, weights: Array | None, minlength: int) -> Array:
    """The number of each integer of x, or the sum of their weights, in float64."""
    if weights is None or not is_cupy(x):
        return array_module(x).bincount(x, weights, minlength)
    length = int(x.max()) + 1 if x.size else 0
    counts = array_module(x).zeros(max(length, minlength), "float64")
    kernels.add_at(weights.astype("float64"), x, counts)  # CuPy's bincount adds in any order
    return counts


@op
def bincount(x: Array, *, weights: Array | None, minlength: int) -> OutputAndVJPs:
    """The number of occurrences of each integer, or the sum of their weights."""
    counts = _weighted_counts(x, weights, minlength)
    if weights is None:
        return counts.astype("int64"), ()
    return counts.astype("float32" if weights.dtype == "float32" else "float64"), ()


@op
def isin(x: Array, *, among: Array, invert: bool) -> OutputAndVJPs:
    """Whether each element is among the others."""
    xp = array_module(x)
    ordered = xp.sort(to_sortable(among).reshape(-1))
    if not ordered.size:
        return xp.full(x.shape, invert), ()
    position = xp.minimum(xp.searchsorted(ordered, x), ordered.size - 1)
    return (ordered[position] == x) != invert, ()


def count_between(x: Array, edges: Array, weights: Array | None) -> Array:
    """How many are between neighbouring edges, or their weight; the last edge is inside."""
    xp = array_module(x)
    inside = (x >= edges[0]) & (x <= edges[-1])
    part = xp.searchsorted(edges, x[inside], side="right") - 1
    part = xp.minimum(part, len(edges) - 2)
    weights = None if weights is None else weights[inside]
    return _weighted_counts(part, weights, len(edges) - 1)
