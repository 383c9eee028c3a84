"""Running sums, products and extremes along an axis."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_floating


def _backward_sums(g: Array, axis: int) -> Array:
    """For each place the sum from there to the end."""
    xp = array_module(g)
    return xp.flip(xp.cumsum(xp.flip(g, axis), axis), axis)


@op
def cumsum(x: Array, *, axis: int):
    """Running sums along an axis; of integers and bools as int64."""
    xp = array_module(x)
    dtype = None if is_floating(x.dtype) else "int64"
    out = xp.cumsum(x, axis, dtype=dtype).reshape(x.shape)  # that of a 0-d array is 1-d
    return out, (lambda g: _backward_sums(g, axis),)


@op
def cumprod(x: Array, *, axis: int):
    """Running products along an axis; the gradient is right where elements are 0 too."""
    xp = array_module(x)
    dtype = None if is_floating(x.dtype) else "int64"
    out = xp.cumprod(x, axis, dtype=dtype).reshape(x.shape)

    def grad_x(g):
        # Before the first 0 every product has its factor; at it, those that follow lack a factor
        # of 0, and are made again without it; behind it, every product is 0 whatever is there.
        if not x.ndim:
            return g
        zeros = x == 0
        count = xp.cumsum(zeros, axis)
        first = zeros & (count == 1)
        before = _backward_sums(g * out, axis) / xp.where(zeros, 1, x)
        at = _backward_sums(g * xp.cumprod(xp.where(first, 1, x), axis) * (count > 0), axis)
        return xp.where(first, at, xp.where(count == 0, before, 0))

    return out, (grad_x,)


def _doubling(parts: tuple[Array, ...], axis: int, combine) -> tuple[Array, ...]:
    """The scan of an associative `combine(earlier parts, later parts)`, in log2(n) steps."""
    xp = array_module(*parts)
    length = parts[0].shape[axis]
    step = 1

    def cut(array, start, stop):
        index = (*(slice(None),) * axis, slice(start, stop))
        return array[index]

    while step < length:
        earlier = tuple(cut(a, 0, length - step) for a in parts)
        later = tuple(cut(a, step, length) for a in parts)
        joined = combine(earlier, later)
        parts = tuple(xp.concatenate((cut(a, 0, step), b), axis) for a, b in zip(parts, joined))
        step *= 2
    return parts


@op
def running_extreme(x: Array, *, axis: int, largest: bool):
    """Where the largest (or smallest) up to each place is; of equal ones the last, NaN first."""
    xp = array_module(x)
    if not x.ndim:
        return xp.zeros((), "int64"), ()
    axis %= x.ndim
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    places = xp.broadcast_to(xp.arange(x.shape[axis]).reshape(shape), x.shape)

    def combine(earlier, later):
        (a, i), (b, j) = earlier, later
        better = b >= a if largest else b <= a
        better = (better & (a == a)) | (b != b)
        return xp.where(better, b, a), xp.where(better, j, i)

    return _doubling((x, places), axis, combine)[1].astype("int64"), ()


def _log_sums(x: Array, axis: int) -> Array:
    xp = array_module(x)
    return _doubling((x,), axis, lambda a, b: (xp.logaddexp(a[0], b[0]),))[0]


@op
def logcumsumexp(x: Array, *, axis: int):
    """log(cumsum(exp(x))) along an axis, without overflow."""
    xp = array_module(x)
    if not x.ndim:
        return x.copy(), (lambda g: g,)
    axis %= x.ndim
    out = _log_sums(x, axis)

    def part(g):
        """The gradient of the positive part of g, by logarithms."""
        positive = g > 0
        logs = xp.log(xp.where(positive, g, 1))
        logs = xp.where(positive, logs, float(np.finfo(out.dtype).min)) - out
        sums = xp.flip(_log_sums(xp.flip(logs, axis), axis), axis)
        return xp.exp(sums + x)

    return out, (lambda g: part(g) - part(-g),)
