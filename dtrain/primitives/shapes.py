"""Operations that move or repeat elements; views wherever NumPy gives a view."""

from __future__ import annotations

import math

import numpy as np

from dtrain.autograd.op import exact_op, op, view_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.dtypes import float32, is_half
from dtrain.primitives.scattering import add_to_zeros


@view_op
def reshape(x: Array, *, shape: tuple[int, ...]) -> OutputAndVJPs:
    """The same elements in another shape."""
    before = x.shape
    return x.reshape(shape), (lambda g: g.reshape(before),)


@view_op
def permute(x: Array, *, axes: tuple[int, ...]) -> OutputAndVJPs:
    """The axes in another order."""
    return x.transpose(axes), (lambda g: g.transpose(_inverse(axes)),)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order that undoes an order of axes."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@view_op
def expand(x: Array, *, shape: tuple[int, ...]) -> OutputAndVJPs:
    """Broadcast to a shape."""
    out = array_module(x).broadcast_to(x, shape)
    if isinstance(out, np.ndarray):  # NumPy hands them out read-only; parts of it may be written
        out.flags.writeable = x.flags.writeable
    return out, (lambda g: g,)


@view_op
def flip_view(x: Array, *, axes: tuple[int, ...]) -> OutputAndVJPs:
    """The order reversed along axes."""
    xp = array_module(x)
    return xp.flip(x, axes), (lambda g: xp.flip(g, axes),)


@exact_op(takes_complex=True)
def contiguous(x: Array) -> OutputAndVJPs:
    """The same elements, in order in memory."""
    return kernels.contiguous(x), (lambda g: g,)


@exact_op(takes_complex=True)
def roll(
    x: Array, *, shifts: int | tuple[int, ...], axis: int | tuple[int, ...] | None
) -> OutputAndVJPs:
    """Elements shifted along axes, those that fall off coming in at the other end."""
    xp = array_module(x)
    back = tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts
    return xp.roll(x, shifts, axis), (lambda g: xp.roll(g, back, axis),)


@view_op
def unfold(x: Array, *, axis: int, size: int, step: int, dilation: int = 1) -> OutputAndVJPs:
    """Windows of `size` elements, every `step`, along an axis; they lie in a new last axis.

    The elements of a window are `spread` apart.
    """
    xp = array_module(x)
    length = x.shape[axis]
    count = (length - dilation * (size - 1) - 1) // step + 1 if size else length // step + 1
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
    before, along, after = x.strides[:axis], x.strides[axis], x.strides[axis + 1 :]
    strides = (*before, along * step, *after, along * dilation)
    return xp.lib.stride_tricks.as_strided(x, shape, strides), (
        lambda g: _overlap_add(g, axis, length, step, dilation),
    )


@op(takes_complex=True)
def overlap_add(x: Array, *, axis: int, length: int, step: int, dilation: int = 1) -> OutputAndVJPs:
    """The sums of what windows have for each element of an axis: `unfold` transposed."""
    count, size = x.shape[axis], x.shape[-1]

    def grad_x(g: Array) -> Array:
        parts = [
            g[window][..., None] for window in _window_slices(axis, count, size, step, dilation)
        ]
        return array_module(g).concatenate(parts, -1)

    return _overlap_add(x, axis, length, step, dilation), (grad_x,)


def _overlap_add(windows: Array, axis: int, length: int, step: int, dilation: int) -> Array:
    shape, dtype = windows.shape, windows.dtype
    wide = float32 if is_half(dtype) else dtype
    full = array_module(windows).zeros((*shape[:axis], length, *shape[axis + 1 : -1]), wide)
    for i, window in enumerate(_window_slices(axis, shape[axis], shape[-1], step, dilation)):
        full[window] += windows[..., i]
    return full if wide is dtype else full.astype(dtype)


def _window_slices(axis: int, count: int, size: int, step: int, dilation: int) -> list[tuple]:
    """Where the first, the second, ... elements of all windows lie: different ones each time."""
    lead = (slice(None),) * axis
    return [(*lead, slice(i * dilation, i * dilation + step * count, step)) for i in range(size)]


@view_op
def strided(
    x: Array, *, order: tuple[int, ...], shape: tuple, steps: tuple, start: int
) -> OutputAndVJPs:
    """Any elements of the memory of x, in which its axes lie in `order`; some may be repeated."""
    xp = array_module(x)
    inner = tuple(x.shape[axis] for axis in order)
    back = _inverse(order)

    def part(flat: Array) -> Array:
        strides = tuple(step * flat.itemsize for step in steps)
        first = flat[start:] if 0 not in shape else flat[:0]
        return xp.lib.stride_tricks.as_strided(first, shape, strides)

    def grad_x(g: Array) -> Array:
        n = math.prod(inner)
        return add_to_zeros((n,), part(xp.arange(n)), g).reshape(inner).transpose(back)

    return part(x.transpose(order).reshape(-1)), (grad_x,)
