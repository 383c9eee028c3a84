"""Places in a sorted order, and counts of equal values; none of them has a gradient."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module


def _in_order(x: Array, axis: int) -> tuple[Array, Array]:
    """x with `axis` last, and the order that sorts it there, NaN last."""
    last = array_module(x).moveaxis(x, axis, -1)
    return last, last.argsort(-1, kind="stable")


@op
def middle_places(x: Array, *, axis: int, ignore_nan: bool):
    """The place of the lower median along an axis, kept with length 1.

    With a NaN among them that is the median, unless it is ignored.
    """
    xp = array_module(x)
    last, order = _in_order(x, axis)
    n = last.shape[-1]
    missing = (last != last).sum(-1, keepdims=True)
    if ignore_nan:
        rank = xp.maximum(n - missing - 1, 0) // 2
    else:
        rank = xp.where(missing > 0, n - missing, (n - 1) // 2)
    return xp.moveaxis(xp.take_along_axis(order, rank, -1), -1, axis), ()


@op
def mode_places(x: Array, *, axis: int):
    """The place of the most frequent value along an axis, kept with length 1.

    Of equally frequent values the smallest, of its places the last.
    """
    xp = array_module(x)
    last, order = _in_order(x, axis)
    values = xp.take_along_axis(last, order, -1)
    starts = xp.ones(values.shape, "bool")
    starts[..., 1:] = values[..., 1:] != values[..., :-1]
    places = xp.arange(values.shape[-1])
    length = places - _running_maximum(xp.where(starts, places, 0)) + 1
    rank = length.argmax(-1, keepdims=True)
    return xp.moveaxis(xp.take_along_axis(order, rank, -1), -1, axis), ()


def _running_maximum(x: Array) -> Array:
    """The largest up to each place along the last axis; CuPy has no maximum.accumulate."""
    xp = array_module(x)
    step = 1
    while step < x.shape[-1]:
        x[..., step:] = xp.maximum(x[..., step:], x[..., :-step].copy())
        step *= 2
    return x


@op
def quantile_ranks(x: Array, q: Array, *, ignore_nan: bool):
    """How far along the sorted last axis each quantile lies: (..., length of q), in x's dtype."""
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
def histogram(x: Array, *, bins: int, low: float, high: float):
    """How many elements are in each of `bins` equal parts of [low, high], in x's dtype."""
    xp = array_module(x)
    x = x.reshape(-1)
    x = x[(x >= low) & (x <= high)]
    part = ((x - low) / (high - low) * bins).astype("int64")
    return xp.bincount(xp.minimum(part, bins - 1), minlength=bins).astype(x.dtype), ()


@op
def bincount(x: Array, *, weights: Array | None, minlength: int):
    """How often each number is there, or the sum of its weights."""
    counts = array_module(x).bincount(x, weights, minlength)
    if weights is None:
        return counts.astype("int64"), ()
    return counts.astype("float32" if weights.dtype == "float32" else "float64"), ()


@op
def isin(x: Array, *, among: Array, invert: bool):
    """Whether each element is among the others."""
    xp = array_module(x)
    ordered = xp.sort(among.reshape(-1))
    if not ordered.size:
        return xp.full(x.shape, invert), ()
    place = xp.minimum(xp.searchsorted(ordered, x), ordered.size - 1)
    return (ordered[place] == x) != invert, ()


def count_between(x: Array, edges: Array, weights: Array | None) -> Array:
    """How many are between neighbouring edges, or their weight; the last edge is inside."""
    xp = array_module(x)
    inside = (x >= edges[0]) & (x <= edges[-1])
    part = xp.searchsorted(edges, x[inside], side="right") - 1
    part = xp.minimum(part, len(edges) - 2)
    weights = None if weights is None else weights[inside]
    return xp.bincount(part, weights, minlength=len(edges) - 1)


def unique_rows(rows: Array, *, consecutive: bool) -> tuple[Array, Array, Array]:
    """Different rows of a matrix: (places of one of each, inverse, counts).

    In sorted order, or with `consecutive` each run of equal rows as one, in the order they have.
    """
    xp = array_module(rows)
    n = rows.shape[0]
    if rows.dtype == "bool":
        rows = rows.astype("uint8")
    if consecutive or not rows.size:
        order = xp.arange(n)
    else:
        order = xp.lexsort(xp.ascontiguousarray(rows.T[::-1]))
    ordered = rows[order]
    starts = xp.ones(n, "bool")
    starts[1:] = (ordered[1:] != ordered[:-1]).any(1)
    (first,) = xp.nonzero(starts)
    inverse = xp.empty(n, "int64")
    inverse[order] = xp.cumsum(starts) - 1
    ends = xp.concatenate((first[1:], xp.full(min(n, 1), n, first.dtype)))
    return order[first], inverse, (ends - first).astype("int64")
