"""Reductions over axes, and running sums, products and extremes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire, fixed
from dtrain.onnx.forms.arithmetic import logaddexp
from dtrain.onnx.forms.comparison import truth
from dtrain.onnx.forms.table import Form
from dtrain.primitives.reductions import to_axes


def reduce(b: Builder, kind: str, x: Wire, axis: Any, keepdims: bool = False) -> Wire:
    """A Reduce node over all axes, one or several."""
    if axis == () or x.shape == ():
        return x
    if axis is None:
        return getattr(b, kind)(x, keepdims=int(keepdims))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return getattr(b, kind)(x, b.ints(axes), keepdims=int(keepdims))


def total(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
    """The sum; of integers and bools as int64."""
    x = x if x.dtype.kind in "fV" else b.cast(x, "int64")
    return reduce(b, "ReduceSum", x, axis, keepdims)


def _extreme(kind: str) -> Form:
    def form(
        b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False, equal_nan: bool = False
    ) -> Wire:
        given, narrow = x.dtype, x.dtype in (np.bool_, np.uint8, np.int16, np.int8)
        out = reduce(b, kind, b.cast(x, "int32") if narrow else x, axis, keepdims)
        if x.dtype.kind == "f":  # of NaN the result is NaN
            missing = reduce(b, "ReduceMax", b.cast(b.IsNaN(x), "int32"), axis, keepdims)
            out = b.where(b.cast(missing, bool), math.nan, out, x.dtype)
        return b.cast(out, given)

    return form


amax, amin = _extreme("ReduceMax"), _extreme("ReduceMin")


def mean(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
    """The mean; NaN of nothing."""
    if 0 in x.shape:
        return b.Div(reduce(b, "ReduceSum", x, axis, keepdims), 0.0)
    return reduce(b, "ReduceMean", x, axis, keepdims)


def some(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
    """Whether one is nonzero."""
    count = reduce(b, "ReduceSum", b.cast(truth(b, x), "int32"), axis, keepdims)
    return b.Greater(count, b.wire(0, "int32"))


def every(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
    """Whether all are nonzero."""
    return b.Not(some(b, b.Not(truth(b, x)), axis=axis, keepdims=keepdims))


def product(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
    """The product; of integers as int64."""
    x = x if x.dtype.kind == "f" else b.cast(x, "int64")
    return reduce(b, "ReduceProd", x, axis, keepdims)


def norm(b: Builder, x: Wire, *, p: float, axis: Any = None, keepdims: bool = False) -> Wire:
    """(sum |x|^p)^(1/p)."""
    powers = b.Pow(b.Abs(x), b.wire(p, x.dtype))
    return b.Pow(reduce(b, "ReduceSum", powers, axis, keepdims), b.wire(1 / p, x.dtype))


def _argument(kind: str) -> Form:
    def form(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
        x = b.cast(x, "int32") if x.dtype.kind in "bu" else x
        if axis is None:
            out = getattr(b, kind)(b.Reshape(x, b.ints([-1])), axis=0, keepdims=0, dtype=np.int64)
            return b.Reshape(out, b.ints([1] * x.ndim)) if keepdims else out
        if not x.ndim:
            return b.wire(0, np.int64)
        return getattr(b, kind)(x, axis=axis, keepdims=int(keepdims), dtype=np.int64)

    return form


def logsumexp(b: Builder, x: Wire, *, axis: Any, keepdims: bool = False) -> Wire:
    """log(sum(exp(x))), without overflow."""
    top = reduce(b, "ReduceMax", x, axis, True)
    finite = b.Less(b.Abs(top), b.wire(math.inf, x.dtype))
    top = b.where(finite, top, 0.0, x.dtype)
    out = b.Add(b.Log(reduce(b, "ReduceSum", b.Exp(b.Sub(x, top)), axis, True)), top)
    if keepdims or axis == () or not x.ndim:
        return out
    return b.squeeze(out, *to_axes(axis, x.ndim))


def var(
    b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False, correction: float = 1
) -> Wire:
    """Squared deviations from the mean, over count - correction."""
    mean = reduce(b, "ReduceMean", x, axis, True)
    centered = b.Sub(x, mean)
    squares = reduce(b, "ReduceSum", b.Mul(centered, centered), axis, keepdims)
    count = b.numel([x.shape[i] for i in to_axes(axis, x.ndim)])
    if not isinstance(count, Wire):
        divisor = max(count - correction, 0)
        return b.Mul(squares, 1 / divisor if divisor else math.inf)
    divisor = b.Max(b.Sub(b.cast(count, x.dtype), correction), 0.0)
    return b.Mul(squares, b.Reciprocal(divisor))


def nansum(b: Builder, x: Wire, *, axis: Any = None, keepdims: bool = False) -> Wire:
    """The sum of the elements that are not NaN."""
    return reduce(b, "ReduceSum", b.where(b.is_nan(x), 0, x, x.dtype), axis, keepdims)


def largest_magnitude(b: Builder, x: Wire, *, ignore_nan: bool) -> Wire:
    """max(|x|) over the last axis."""
    size = b.Abs(x)
    if ignore_nan:
        return reduce(b, "ReduceMax", b.where(b.IsNaN(x), 0, size, x.dtype), -1)
    return amax(b, size, axis=-1)


def count_differences(b: Builder, x: Wire) -> Wire:
    """The number of nonzero elements over the last axis; NaN with NaN."""
    nonzero = b.cast(truth(b, x), x.dtype)
    return reduce(b, "ReduceSum", b.where(b.is_nan(x), math.nan, nonzero, x.dtype), -1)


# --- scans ---


def cumsum(b: Builder, x: Wire, *, axis: int) -> Wire:
    """Running sums; of integers and bools as int64."""
    dtype = x.dtype if x.dtype.kind == "f" else "int64"
    return b.CumSum(b.cast(x, dtype), b.wire(axis, np.int64)) if x.ndim else b.cast(x, dtype)


_Parts = Sequence[Wire]


def _scan(
    b: Builder, parts: _Parts, axis: int, length: int, combine: Callable[[_Parts, _Parts], _Parts]
) -> _Parts:
    """The inclusive scan of an associative `combine` (Hillis and Steele 1986)."""
    step = 1
    while step < length:
        earlier = [b.slice(part, axis, 0, length - step) for part in parts]
        later = [b.slice(part, axis, step, length) for part in parts]
        joined = combine(earlier, later)
        first = [b.slice(part, axis, 0, step) for part in parts]
        parts = [b.Concat(a, z, axis=axis) for a, z in zip(first, joined)]
        step *= 2
    return parts


def _length(x: Wire, axis: int) -> int:
    length: int = fixed(x.shape[axis], "the length of the axis")
    return length


def cumprod(b: Builder, x: Wire, *, axis: int) -> Wire:
    """Running products."""
    x = x if x.dtype.kind == "f" else b.cast(x, "int64")
    if not x.ndim:
        return x
    multiply = lambda a, z: [b.Mul(a[0], z[0])]
    return _scan(b, [x], axis, _length(x, axis), multiply)[0]


def logcumsumexp(b: Builder, x: Wire, *, axis: int) -> Wire:
    """log(cumsum(exp(x)))."""
    if not x.ndim:
        return x
    add = lambda a, z: [logaddexp(b, a[0], z[0])]
    return _scan(b, [x], axis, _length(x, axis), add)[0]


def _running_extreme(better: str) -> Form:
    def form(b: Builder, x: Wire, *, axis: int) -> Wire:
        if not x.ndim:
            return b.wire(0, np.int64)
        axis %= x.ndim
        length = _length(x, axis)
        places = np.arange(length).reshape([-1] + [1] * (x.ndim - axis - 1))
        positions = b.Expand(b.constant(places), b.shape_of(x))

        def combine(earlier: _Parts, later: _Parts) -> _Parts:
            (a, i), (z, j) = earlier, later
            takes = getattr(b, better)(z, a)
            if x.dtype.kind == "f":
                takes = b.Or(takes, b.IsNaN(z))
            return [b.where(takes, z, a), b.where(takes, j, i)]

        return _scan(b, [x, positions], axis, length, combine)[1]

    return form


FORMS: dict[str, Form] = {
    "sum": total,
    "mean": mean,
    "amax": amax,
    "amin": amin,
    "prod": product,
    "all": every,
    "any": some,
    "norm": norm,
    "argmax": _argument("ArgMax"),
    "argmin": _argument("ArgMin"),
    "logsumexp": logsumexp,
    "var": var,
    "nansum": nansum,
    "count_nonzero": lambda b, x, *, axis=None: total(b, truth(b, x), axis=axis),
    "largest_magnitude": largest_magnitude,
    "sum_magnitudes": lambda b, x: reduce(b, "ReduceSum", b.Abs(x), -1),
    "count_differences": count_differences,
    "cumsum": cumsum,
    "cumprod": cumprod,
    "logcumsumexp": logcumsumexp,
    "cummax_indices": _running_extreme("GreaterOrEqual"),
    "cummin_indices": _running_extreme("LessOrEqual"),
}
