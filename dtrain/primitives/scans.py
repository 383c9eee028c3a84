"""Running sums, products and extremes along an axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.dtypes import is_inexact


@op(takes_complex=True)
def cumsum(x: Array, *, axis: int) -> OutputAndVJPs:
    """Running sums along an axis; of integers and bools as int64."""
    if not is_inexact(x.dtype):
        x = x.astype("int64")
    return kernels.cumsum(x, axis, False), (lambda g: kernels.cumsum(g, axis, True),)


@op(takes_complex=True)
def cumprod(x: Array, *, axis: int) -> OutputAndVJPs:
    """Running products along an axis; the gradient is right where elements are 0 too."""
    xp = array_module(x)
    dtype = None if is_inexact(x.dtype) else "int64"
    out = xp.cumprod(x, axis, dtype=dtype).reshape(x.shape)

    def grad_x(g: Array) -> Array:
        # Before the first 0 each product has its factor. At it, the products up to the second 0 are
        # made again without it. Behind it, products are 0 whatever is there.
        if not x.ndim or x.shape[axis] == 1:
            return g
        zeros = x == 0
        count = xp.cumsum(zeros, axis)
        first = zeros & (count == 1)
        before = xp.where(count == 0, g * out, 0)
        before = kernels.cumsum(before, axis, True) / xp.where(zeros, 1, x)
        at = xp.where(count == 1, g * xp.cumprod(xp.where(first, 1, x), axis), 0)
        return xp.where(first, kernels.cumsum(at, axis, True), xp.where(count == 0, before, 0))

    return out, (grad_x,)


def _scan(
    parts: tuple[Array, ...],
    axis: int,
    combine: Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[Array, ...]],
) -> tuple[Array, ...]:
    """The inclusive scan of an associative `combine`, in log2(n) steps (Hillis and Steele 1986).

    Several arrays may be scanned together: `combine` takes and returns a tuple of `parts`.
    """
    xp = array_module(*parts)
    length = parts[0].shape[axis]
    step = 1

    def cut(array: Array, start: int, stop: int) -> Array:
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
def cummax_indices(x: Array, *, axis: int) -> OutputAndVJPs:
    """The index of the largest element up to each position: of equal ones the last; NaN wins."""
    return _cumulative_extreme(x, axis, lambda earlier, later: later >= earlier), ()


@op
def cummin_indices(x: Array, *, axis: int) -> OutputAndVJPs:
    """The index of the smallest element up to each position: of equal ones the last; NaN wins."""
    return _cumulative_extreme(x, axis, lambda earlier, later: later <= earlier), ()


def _cumulative_extreme(x: Array, axis: int, is_better: Callable[[Array, Array], Array]) -> Array:
    xp = array_module(x)
    if not x.ndim:
        return xp.zeros((), "int64")
    axis %= x.ndim
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    positions = xp.broadcast_to(xp.arange(x.shape[axis]).reshape(shape), x.shape)

    def combine(earlier: tuple[Array, ...], later: tuple[Array, ...]) -> tuple[Array, ...]:
        (a, i), (b, j) = earlier, later
        takes_later = (is_better(a, b) & (a == a)) | (b != b)
        return xp.where(takes_later, b, a), xp.where(takes_later, j, i)

    return _scan((x, positions), axis, combine)[1].astype("int64")


def _logcumsumexp(x: Array, axis: int) -> Array:
    xp = array_module(x)
    return _scan((x,), axis, lambda a, b: (xp.logaddexp(a[0], b[0]),))[0]


@op
def logcumsumexp(x: Array, *, axis: int) -> OutputAndVJPs:
    """log(cumsum(exp(x))) along an axis, without overflow."""
    xp = array_module(x)
    if not x.ndim:
        return x.copy(), (lambda g: g,)
    axis %= x.ndim
    out = _logcumsumexp(x, axis)

    def part(g: Array) -> Array:
        """The gradient of the positive part of g, by logarithms."""
        positive = g > 0
        logs = xp.log(xp.where(positive, g, 1))
        logs = xp.where(positive, logs, float(np.finfo(out.dtype).min)) - out
        sums = xp.flip(_logcumsumexp(xp.flip(logs, axis), axis), axis)
        return xp.exp(sums + x)

    return out, (lambda g: part(g) - part(-g),)
