"""Reading and writing by index, gathering, rows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.onnx.builder import END, Builder, Wire
from dtrain.onnx.forms.table import Form
from dtrain.onnx.proto import Unsupported

_EVERY = slice(None)


def getitem(b: Builder, x: Wire, *, index: Any) -> Wire:
    """x[index], of ints and slices, or of whole slices and arrays."""
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, Wire) and _is_mask(part) for part in index):
        raise Unsupported("the size of x[mask] depends on values; use where() or masked_fill()")
    return read(b, x, index)


def read(b: Builder, x: Wire, index: tuple[Any, ...]) -> Wire:
    """x[index], also by masks."""
    if any(isinstance(part, (Wire, np.ndarray)) for part in index):
        return _read_by_arrays(b, x, _without_ellipsis(x, index))
    return _read_basic(b, x, index)


def _read_basic(b: Builder, x: Wire, index: tuple[Any, ...]) -> Wire:
    used = sum(part is not None and part is not Ellipsis for part in index)
    starts, stops, axes, steps, dropped, added = [], [], [], [], [], []
    axis = made = 0
    for part in index:
        if part is Ellipsis:
            axis += x.ndim - used
            made += x.ndim - used
            continue
        if part is None:
            added.append(made)
            made += 1
            continue
        if isinstance(part, slice):
            made += 1
            if part == _EVERY:
                axis += 1
                continue
            starts.append(0 if part.start is None else part.start)
            stops.append(END if part.stop is None else part.stop)
            steps.append(1 if part.step is None else part.step)
        else:  # an int: a slice of length 1 whose axis is dropped
            starts.append(part)
            stops.append(END if part == -1 else part + 1)
            steps.append(1)
            dropped.append(axis)
        axes.append(axis)
        axis += 1
    out = x
    if axes:
        out = b.Slice(out, b.ints(starts), b.ints(stops), b.ints(axes), b.ints(steps))
    if dropped:
        out = b.squeeze(out, *dropped)
    return b.unsqueeze(out, *added) if added else out


def _without_ellipsis(x: Wire, index: tuple[Any, ...]) -> list[Any]:
    parts = [part for part in index if part is not Ellipsis]
    if len(parts) == len(index):
        return parts
    used = sum(part.ndim if _is_mask(part) else 1 for part in parts)
    at = next(i for i, part in enumerate(index) if part is Ellipsis)
    return [*parts[:at], *[_EVERY] * (x.ndim - used), *parts[at:]]


def _is_mask(part: Any) -> bool:
    return isinstance(part, (Wire, np.ndarray)) and part.dtype == bool


def _read_by_arrays(b: Builder, x: Wire, index: Sequence[Any]) -> Wire:
    """x[index] by arrays of integers, or masks, beside whole slices."""
    axes: list[int] = []
    arrays: list[Wire] = []
    axis = 0
    for part in index:
        if isinstance(part, slice):
            if part != _EVERY:
                raise Unsupported("it indexes by slices and arrays at once")
            axis += 1
            continue
        for array in _as_integers(b, part):
            axes.append(axis)
            arrays.append(array)
            axis += 1
    if len(axes) == 1:
        return b.Gather(x, arrays[0], axis=axes[0])
    rest = [i for i in range(x.ndim) if i not in axes]
    ndim = max(array.ndim for array in arrays)
    shape = b.Shape(_sum_of(b, arrays), dtype=np.int64)
    together = [b.unsqueeze(b.Expand(array, shape), ndim) for array in arrays]
    out = b.GatherND(b.transpose(x, [*axes, *rest]), b.Concat(*together, axis=-1))
    if axes == list(range(axes[0], axes[0] + len(axes))):  # the result has its axes there
        order = [
            *range(ndim, ndim + axes[0]),
            *range(ndim),
            *range(ndim + axes[0], ndim + len(rest)),
        ]
        out = b.transpose(out, order)
    return out


def _sum_of(b: Builder, arrays: Sequence[Wire]) -> Wire:
    """Something in the shape to which arrays broadcast."""
    out = arrays[0]
    for array in arrays[1:]:
        out = b.Add(out, array)
    return out


def _as_integers(b: Builder, part: Any) -> list[Wire]:
    """An array of indices as int64; a mask as those of its True elements, by axes."""
    if isinstance(part, np.ndarray):
        parts = part.nonzero() if part.dtype == bool else [part]
        return [b.constant(np.asarray(p, np.int64)) for p in parts]
    if part.dtype != bool:
        made = b.cast(part, np.int64)
        made.shape = part.shape
        return [made]
    rows = b.NonZero(part, dtype=np.int64)
    out = [b.Gather(rows, b.wire(i, np.int64), axis=0) for i in range(part.ndim)]
    for wire in out:
        wire.shape = (None,)
    return out


def flat_indices(b: Builder, shape: Sequence[Any], index: Any) -> Wire:
    """The places of x[index] in the flattened x, of a shape."""
    index = index if isinstance(index, tuple) else (index,)
    numbered = b.reshape(b.arange(b.numel(shape)), shape)
    return read(b, numbered, index)


def scatter_flat(b: Builder, x: Wire, indices: Wire, values: Wire, reduction: str = "none") -> Wire:
    """x with values at places of the flattened x."""
    values = b.Expand(values, b.Shape(indices, dtype=np.int64))
    flat = [b.Reshape(part, b.ints([-1])) for part in (x, indices, values)]
    out = b.ScatterElements(*flat, axis=0, reduction=reduction)
    return b.reshape(out, x.shape)


def _put(reduction: str) -> Form:
    def form(b: Builder, x: Wire, values: Any, *, index: Any, **_: Any) -> Wire:
        values = b.cast(b.wire(values, x.dtype), x.dtype)
        return scatter_flat(b, x, flat_indices(b, x.shape, index), values, reduction)

    return form


def put(b: Builder, x: Wire, values: Any, *, index: Any, accumulate: bool) -> Wire:
    """x with values written to, or added at, x[index]."""
    return _put("add" if accumulate else "none")(b, x, values, index=index)


def put_extreme(
    b: Builder, x: Wire, values: Any, *, index: Any, largest: bool, include_self: bool
) -> Wire:
    """x with the larger (smaller) of x[index] and values."""
    return _put("max" if largest else "min")(b, x, values, index=index)


def scatter_add(b: Builder, x: Wire, values: Wire, *, axis: int, index: Any) -> Wire:
    """x with values added at `index` along an axis."""
    index = b.wire(index)
    if index.shape != values.shape:
        values = b.Slice(values, b.ints([0] * values.ndim), b.shape_of(index))
    return b.ScatterElements(x, index, values, axis=axis, reduction="add")


def gather(b: Builder, x: Wire, *, axis: int, index: Any) -> Wire:
    """The elements of x at `index` along an axis."""
    index = b.wire(index)
    if not x.ndim:
        return b.reshape(x, index.shape)
    return b.GatherElements(x, index, axis=axis)


def bag_sum(b: Builder, x: Wire, *, bag: Any, count: Any) -> Wire:
    """Rows of x added up by the bag of each."""
    zeros = b.full([count, x.shape[1]], 0, x.dtype)
    rows = b.Expand(b.unsqueeze(b.wire(bag), 1), b.shape_of(x))
    return b.ScatterElements(zeros, rows, x, axis=0, reduction="add")


def take(b: Builder, x: Wire, *, index: Any) -> Wire:
    """The element at an index of the flattened array."""
    out = b.Gather(b.Reshape(x, b.ints([-1])), b.wire(index, np.int64))
    return b.Reshape(out, b.ints([]))


FORMS: dict[str, Form] = {
    "getitem": getitem,
    "put": put,
    "put_extreme": put_extreme,
    "put_product": _put("mul"),
    "scatter_add": scatter_add,
    "gather": gather,
    "embedding": lambda b, weight, *, index, **_: b.Gather(weight, b.wire(index), axis=0),
    "bag_sum": bag_sum,
    "take_sharing_gradient": take,
}
