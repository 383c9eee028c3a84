"""Reductions over axes. `axis` is None for all, an int or a tuple."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, is_cupy, kernels
from dtrain.backend.dtypes import is_inexact

#: The axes of a reduction: all, one or several.
Axis: TypeAlias = int | tuple[int, ...] | None

#: On a GPU a block means one row, where there are at least so many rows.
_ROWS = 64


def expand_reduced(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Broadcast the gradient of a reduction to the shape of what was reduced."""
    xp = array_module(g)
    if axis is not None and not keepdims:
        g = xp.expand_dims(g, axis)
    return xp.broadcast_to(g, shape)


def count_reduced(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements are reduced to one."""
    count = 1
    for i in to_axes(axis, len(shape)):
        count *= shape[i]
    return count


def to_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction as a tuple."""
    if axis is None:
        return tuple(range(ndim))
    return axis if isinstance(axis, tuple) else (axis,)


def _reduces_rows(x: Array, axis: Axis, count: int) -> bool:
    """Whether the last axes of many rows are reduced, so that a block can reduce each."""
    axes = to_axes(axis, x.ndim)
    is_last = axes == tuple(range(x.ndim - len(axes), x.ndim))
    return is_last and x.dtype.char in "fd" and count > 0 and x.size // count >= _ROWS


#: NumPy is called faster, for fewer elements
_FEW = 1 << 12


def _total(x: Array, axis: Axis, keepdims: bool, dtype: Any) -> Array:
    """The sum in a dtype; None: in that of x. That over last axes of a host array is a kernel's."""
    if type(x) is np.ndarray and x.size < _FEW:  # x.sum is a function around this one
        total: Array = np.add.reduce(x, axis, dtype, keepdims=keepdims)  # type: ignore[call-overload]
        return total
    axes = to_axes(axis, x.ndim)
    kept = x.ndim - len(axes)
    if (
        not isinstance(x, np.ndarray)
        or dtype is not None
        or x.size < _FEW
        or x.dtype.char not in "fd"
    ):
        return x.sum(axis, keepdims=keepdims, dtype=dtype)
    order = sorted(i % x.ndim for i in axes)
    if order == list(range(len(axes))) and kept:
        total = kernels.sum_leading(x, len(axes))
        return total.reshape((*(1,) * len(axes), *total.shape)) if keepdims else total
    if order != list(range(kept, x.ndim)):
        return x.sum(axis, keepdims=keepdims)
    shape = x.shape[:kept]
    rows = x.reshape(math.prod(shape), math.prod(x.shape[kept:]))
    return kernels.sum_rows(rows).reshape((*shape, *(1,) * len(axes)) if keepdims else shape)


@op(takes_complex=True, takes_halves=True)
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """The sum; of integers and bools as int64."""
    shape = x.shape
    dtype = None if is_inexact(x.dtype) else "int64"
    out = _total(x, axis, keepdims, dtype)
    return out, (lambda g: expand_reduced(g, shape, axis, keepdims),)


@op(takes_complex=True)
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """The mean; NaN of nothing."""
    shape = x.shape
    count = count_reduced(shape, axis)
    scale = 1 / count if count else float("nan")
    wide = "float32" if x.dtype == "float16" else None  # a sum of halves may overflow
    if is_cupy(x) and _reduces_rows(x, axis, count):
        rest = len(to_axes(axis, x.ndim))
        out = kernels.row_means(x.reshape(-1, count))
        out = out.reshape(*shape[: x.ndim - rest], *(1,) * (rest if keepdims else 0))
    else:
        out = _total(x, axis, keepdims, wide) * scale
    out = out if wide is None else out.astype(x.dtype)
    return out, (lambda g: expand_reduced(g * scale, shape, axis, keepdims),)


@op
def amax(
    x: Array, *, axis: Axis = None, keepdims: bool = False, equal_nan: bool = False
) -> OutputAndVJPs:
    """The maximum; equal maxima share the gradient.

    If it is NaN, the gradient of all elements is NaN; with `equal_nan` the NaNs share it.
    """
    out = x.max(axis, keepdims=keepdims)
    return out, (lambda g: _share_among_extremes(g, x, out, axis, keepdims, equal_nan),)


@op
def amin(
    x: Array, *, axis: Axis = None, keepdims: bool = False, equal_nan: bool = False
) -> OutputAndVJPs:
    """The minimum; equal minima share the gradient."""
    out = x.min(axis, keepdims=keepdims)
    return out, (lambda g: _share_among_extremes(g, x, out, axis, keepdims, equal_nan),)


def _share_among_extremes(
    g: Array, x: Array, out: Array, axis: Axis, keepdims: bool, equal_nan: bool
) -> Array:
    is_extreme = x == expand_reduced(array_module(x).asarray(out), x.shape, axis, keepdims)
    is_extreme = is_extreme | (x != x) if equal_nan else is_extreme
    share = g / is_extreme.sum(axis, keepdims=keepdims).astype(x.dtype)
    return expand_reduced(share, x.shape, axis, keepdims) * is_extreme


@op
def largest_magnitude(x: Array, *, ignore_nan: bool) -> OutputAndVJPs:
    """max(|x|) over the last axis; each of equal ones gets the whole gradient.

    The gradient of NaN, and of infinity, is NaN. With `ignore_nan` NaN counts as 0 in the maximum.
    """
    xp = array_module(x)
    size = xp.abs(x)
    out = (xp.where(x == x, size, 0) if ignore_nan else size).max(-1)

    def grad_x(g: Array) -> Array:
        distance = xp.abs(x) - out[..., None]
        share = xp.where(distance == distance, distance == 0, float("nan")).astype(x.dtype)
        return g[..., None] * xp.sign(x) * share

    return out, (grad_x,)


@op
def sum_magnitudes(x: Array) -> OutputAndVJPs:
    """The sum of |x| over the last axis; the gradient of NaN is NaN, unlike that of `abs`."""
    xp = array_module(x)
    return xp.abs(x).sum(-1), (lambda g: g[..., None] * xp.sign(x),)


@op
def count_differences(x: Array) -> OutputAndVJPs:
    """The number of nonzero elements over the last axis, NaN with NaN; the gradient is 0."""
    xp = array_module(x)
    out = xp.where(x == x, x != 0, float("nan")).sum(-1, dtype=x.dtype)
    return out, (lambda g: xp.zeros(x.shape, g.dtype),)


@op
def logsumexp(x: Array, *, axis: Axis, keepdims: bool = False) -> OutputAndVJPs:
    """log(sum(exp(x))), without overflow."""
    xp = array_module(x)
    top = x.max(axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)
    whole = xp.log(xp.exp(x - top).sum(axis, keepdims=True)) + top
    out = whole if keepdims else whole.squeeze(axis)

    def grad_x(g: Array) -> Array:
        return expand_reduced(g, x.shape, axis, keepdims) * xp.exp(
            x - expand_reduced(out, x.shape, axis, keepdims)
        )

    return out, (grad_x,)


@op(takes_complex=True)
def prod(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """The product; the gradient is right where elements are 0, too."""
    xp = array_module(x)
    dtype = None if is_inexact(x.dtype) else "int64"
    out = x.prod(axis, keepdims=keepdims, dtype=dtype)

    def grad_x(g: Array) -> Array:
        if not x.ndim:
            return g
        g = expand_reduced(g, x.shape, axis, keepdims)
        zeros = x == 0
        if not zeros.any():
            return g * (expand_reduced(out, x.shape, axis, keepdims) / x)
        rest = _product_of_others(x, axis)
        if axis is None and int(zeros.sum()) > 1:  # 0, whatever the others are
            rest = xp.where(xp.isnan(rest), 0, rest)
        return g * rest

    return out, (grad_x,)


def _product_of_others(x: Array, axis: Axis) -> Array:
    """For each element the product of all others along the axes, without a division."""
    xp = array_module(x)
    reduced = [d % x.ndim for d in to_axes(axis, x.ndim)]
    order = [d for d in range(x.ndim) if d not in reduced] + reduced
    lines = x.transpose(order)
    shape = lines.shape
    lines = lines.reshape(*shape[: x.ndim - len(reduced)], -1)

    def product_before(lines: Array) -> Array:
        ones = xp.ones((*lines.shape[:-1], 1), lines.dtype)
        return xp.cumprod(xp.concatenate((ones, lines[..., :-1]), -1), -1)

    rest = product_before(lines) * xp.flip(product_before(xp.flip(lines, -1)), -1)
    return rest.reshape(shape).transpose([order.index(d) for d in range(x.ndim)])


@op
def argmax(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """Where the first maximum is."""
    return x.argmax(axis, keepdims=keepdims), ()


@op
def argmin(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """Where the first minimum is."""
    return x.argmin(axis, keepdims=keepdims), ()


@op(takes_complex=True)
def all(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """Whether all are nonzero."""
    return x.all(axis, keepdims=keepdims), ()


@op(takes_complex=True)
def any(x: Array, *, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """Whether one is nonzero."""
    return x.any(axis, keepdims=keepdims), ()


@op
def norm(x: Array, *, p: float, axis: Axis = None, keepdims: bool = False) -> OutputAndVJPs:
    """(sum |x|^p)^(1/p); the gradient is 0 where the norm or the element is 0."""
    xp = array_module(x)
    out = (xp.abs(x) ** p).sum(axis, keepdims=keepdims) ** (1 / p)

    def grad_x(g: Array) -> Array:
        whole = expand_reduced(xp.asarray(out), x.shape, axis, keepdims)
        zero = (whole == 0) | (x == 0)
        slope = xp.sign(x) * (xp.abs(x) / xp.where(zero, 1, whole)) ** (p - 1)
        return expand_reduced(g, x.shape, axis, keepdims) * xp.where(zero, 0, slope)

    return out, (grad_x,)


@op
def take_sharing_gradient(x: Array, *, index: Array) -> OutputAndVJPs:
    """The element at an index of the flattened array; elements equal to it share the gradient."""
    out = x.reshape(-1)[index].reshape(())

    def grad_x(g: Array) -> Array:
        there = (x == out) | ((x != x) & (out != out))
        return g / there.sum().astype(g.dtype) * there

    return out, (grad_x,)
