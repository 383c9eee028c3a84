"""What moves, repeats, joins, pads or converts elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.onnx.builder import END, Builder, Wire, fixed
from dtrain.onnx.forms.table import Form
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.sizes import Dim


def reshape(b: Builder, x: Wire, *, shape: Sequence[Any]) -> Wire:
    """Into a shape; a size that cannot be computed is -1, which ONNX infers."""
    sizes: list[Any] = list(shape)
    known = [*x.shape, *sizes]
    if -1 in sizes and not any(isinstance(size, Dim) for size in known):
        rest = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = math.prod(x.shape) // max(rest, 1)
    for axis, size in enumerate(sizes):
        try:
            b.wire(size, np.int64)
        except Unsupported:
            if -1 in sizes:
                raise
            sizes[axis] = -1
    return b.Reshape(x, b.ints(sizes), allowzero=0 if -1 in sizes else 1)


def flip(b: Builder, x: Wire, *, axes: Sequence[int]) -> Wire:
    """Reversed along axes."""
    n = len(axes)
    if not n:
        return x
    return b.Slice(x, b.ints([-1] * n), b.ints([-END] * n), b.ints(axes), b.ints([-1] * n))


def roll(b: Builder, x: Wire, *, shifts: Any, axis: Any) -> Wire:
    """Shifted along axes; those that fall off come in at the other end."""
    if axis is None:
        flat = b.Reshape(x, b.ints([-1]))
        count = b.numel(x.shape)
        return b.reshape(_roll_axis(b, flat, shifts, 0, count), x.shape)
    pairs = zip(shifts, axis) if isinstance(shifts, tuple) else [(shifts, axis)]
    out = x
    for shift, dim in pairs:
        out = _roll_axis(b, out, shift, dim, x.shape[dim])
    return out


def _roll_axis(b: Builder, x: Wire, shift: int, axis: int, size: Any) -> Wire:
    if isinstance(size, int):
        if not size or not shift % size:
            return x
        cut: Any = size - shift % size
    else:
        size = b.wire(size, np.int64)
        cut = b.Sub(size, b.Mod(b.wire(shift, np.int64), size))
        cut = b.Reshape(cut, b.ints([1]))
    ends = b.wire(cut) if isinstance(cut, Wire) else b.ints([cut])
    axes = b.ints([axis])
    late = b.Slice(x, ends, b.ints([END]), axes)
    return b.Concat(late, b.Slice(x, b.ints([0]), ends, axes), axis=axis)


def unfold(b: Builder, x: Wire, *, axis: int, size: int, step: int, dilation: int = 1) -> Wire:
    """Windows along an axis, in a new last axis."""
    axis %= x.ndim
    length = x.shape[axis]
    reach = dilation * (size - 1) + 1 if size else 0
    if isinstance(length, Dim):
        free = b.Sub(b.size(length), b.wire(reach, np.int64))
        count: Any = b.Add(b.Div(free, step), 1)
        starts = b.Mul(b.arange(count), step)
        indices = b.Add(b.unsqueeze(starts, 1), np.arange(size) * dilation)
    else:
        count = (length - reach) // step + 1
        indices = b.constant(np.arange(count)[:, None] * step + np.arange(size) * dilation)
    windows = b.Gather(x, indices, axis=axis)
    order = [*range(axis + 1), *range(axis + 2, x.ndim + 1), axis + 1]
    return b.transpose(windows, order)


def overlap_add(
    b: Builder, x: Wire, *, axis: int, length: int, step: int, dilation: int = 1
) -> Wire:
    """The sums of what windows have for each element: `unfold` transposed."""
    last = x.ndim - 1
    axis %= last
    count, size = fixed(x.shape[axis], "the number of windows"), x.shape[-1]
    fixed(length, "the length")
    others = [i for i in range(last) if i != axis]
    lines = b.transpose(x, [*others, axis, last])
    shape = [x.shape[i] for i in others]
    lines = b.reshape(lines, [*shape, count * size])
    indices = (np.arange(count)[:, None] * step + np.arange(size) * dilation).reshape(-1)
    zeros = b.full([*shape, length], 0, x.dtype)
    spread = b.Expand(b.constant(indices), b.shape_of(lines))
    out = b.ScatterElements(zeros, spread, lines, axis=-1, reduction="add")
    back = [*others, axis]
    return b.transpose(out, [back.index(i) for i in range(last)])


def strided(
    b: Builder, x: Wire, *, order: Sequence[int], shape: Sequence[Any], steps: Sequence[Any],
    start: int,
) -> Wire:  # fmt: skip
    """Any elements of the memory of x, in which its axes lie in `order`."""
    indices = np.full([fixed(n, "the shape") for n in shape], start, np.int64)
    for axis, step in enumerate(steps):
        along = np.arange(indices.shape[axis]) * fixed(step, "a stride")
        indices += along.reshape([-1] + [1] * (indices.ndim - axis - 1))
    flat = b.Reshape(b.transpose(x, order), b.ints([-1]))
    return b.Gather(flat, b.constant(indices))


def stack(b: Builder, *arrays: Wire, axis: int) -> Wire:
    """Joined along a new axis."""
    return b.Concat(*[b.unsqueeze(x, axis) for x in b.promoted(*arrays)], axis=axis)


def repeat(b: Builder, x: Wire, *, repeats: Sequence[Any]) -> Wire:
    """The whole array side by side."""
    shape = [1] * (len(repeats) - x.ndim) + list(x.shape)
    return b.Tile(b.reshape(x, shape), b.ints(repeats))


def _triangle(upper: int) -> Form:
    def form(b: Builder, x: Wire, *, diagonal: int = 0) -> Wire:
        return b.Trilu(x, b.wire(diagonal, np.int64), upper=upper)

    return form


def diagonal(b: Builder, x: Wire, *, offset: int, axis1: int, axis2: int) -> Wire:
    """The diagonals of the matrices in two axes, as a last axis."""
    axis1, axis2 = axis1 % x.ndim, axis2 % x.ndim
    others = [i for i in range(x.ndim) if i not in (axis1, axis2)]
    rows, columns = (fixed(x.shape[i], "a matrix's size") for i in (axis1, axis2))
    indices = np.arange(rows * columns).reshape(rows, columns).diagonal(offset)
    flat = b.transpose(x, [*others, axis1, axis2])
    flat = b.reshape(flat, [*(x.shape[i] for i in others), rows * columns])
    return b.Gather(flat, b.constant(indices.copy()), axis=-1)


def diag_embed(b: Builder, x: Wire, *, offset: int, axis1: int, axis2: int) -> Wire:
    """Matrices, in two axes of the output, with the rows of x on a diagonal."""
    n = fixed(x.shape[-1], "a diagonal's length")
    side = n + abs(offset)
    places = np.full((side, side), n)  # the zero that is put behind the row
    lines = np.arange(n)
    places[lines + max(-offset, 0), lines + max(offset, 0)] = lines
    zero = b.full([*x.shape[:-1], 1], 0, x.dtype)
    out = b.Gather(b.Concat(x, zero, axis=-1), b.constant(places), axis=-1)
    ndim = x.ndim + 1
    axes = list(range(ndim - 2))
    for to, source in sorted(((axis1 % ndim, ndim - 2), (axis2 % ndim, ndim - 1))):
        axes.insert(to, source)
    return b.transpose(out, axes)


def pad_constant(b: Builder, x: Wire, *, widths: Sequence[Sequence[Any]], value: Any) -> Wire:
    """Padded by (before, after) along each axis; negative widths cut."""
    pads = b.ints([before for before, _ in widths] + [after for _, after in widths])
    if x.dtype == bool:
        padded = b.Pad(b.cast(x, "int32"), pads, b.constant(np.asarray(value, "int32")))
        return b.cast(padded, bool)
    return b.Pad(x, pads, b.constant(np.asarray(value, x.dtype)))


FORMS: dict[str, Form] = {
    "reshape": reshape,
    "permute": lambda b, x, *, axes: b.transpose(x, axes),
    "expand": lambda b, x, *, shape: b.expand(x, shape),
    "flip_view": flip,
    "contiguous": lambda b, x: x,
    "clone": lambda b, x: x,
    "detach": lambda b, x: x,
    "wrap": lambda b, x: x,
    "to_device": lambda b, x, *, move: x,
    "cast": lambda b, x, *, dtype: b.cast(x, dtype),
    "roll": roll,
    "unfold": unfold,
    "overlap_add": overlap_add,
    "strided": strided,
    "cat": lambda b, *arrays, axis: b.Concat(*b.promoted(*arrays), axis=axis),
    "stack": stack,
    "repeat": repeat,
    "tril": _triangle(0),
    "triu": _triangle(1),
    "diagonal": diagonal,
    "diag_embed": diag_embed,
    "pad_constant": pad_constant,
}
