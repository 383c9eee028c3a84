"""Reading and writing by index, gathering, masking, choosing, sorting."""

from __future__ import annotations

from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from dtrain.autograd.op import exact_op, view_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.array_module import where as choose
from dtrain.primitives.scattering import add_along_axis, add_to_zeros, find_slice_index


def is_basic_index(index: tuple) -> bool:
    """Whether an index gives a view."""
    return all(isinstance(part, (int, slice, NoneType, EllipsisType)) for part in index)


@view_op(adds=True)
def getitem(x: Array, *, index: tuple) -> OutputAndVJPs:
    """x[index], for an index of ints and slices, or of slices and arrays."""
    xp = array_module(x)
    shape = x.shape

    def grad_x(g: Array, total: Array | None = None) -> Array:
        if not is_basic_index(index):
            whole = add_to_zeros(shape, index, g)
            return whole if total is None else np.add(total, whole, total)
        if total is None:
            total = xp.zeros(shape, g.dtype)
            total[index] = g
        else:
            total[index] += g
        return total

    place = find_slice_index(index)
    if place is not None and isinstance(x, np.ndarray) and x.size:  # faster than x[index]
        return kernels.take(x, place[1], place[0]), (grad_x,)
    grad_x.index = index  # type: ignore[attr-defined]  # for sliced_gradient.py
    return x[index], (grad_x,)


@exact_op(takes_complex=True)
def where(x: Array, y: Array, *, condition: Array) -> OutputAndVJPs:
    """x where the condition holds, y elsewhere."""
    return choose(condition, x, y), (
        lambda g: choose(condition, g, g.dtype.type(0)),
        lambda g: choose(condition, g.dtype.type(0), g),
    )


@exact_op(takes_complex=True)
def masked_fill(x: Array, *, mask: Array, value: Any) -> OutputAndVJPs:
    """x with `value` where the mask holds."""
    out = choose(mask, x.dtype.type(value), x)
    return out, (lambda g: choose(mask, g.dtype.type(0), g),)


@exact_op(takes_complex=True)
def gather(x: Array, *, axis: int, index: Array) -> OutputAndVJPs:
    """The elements of x at `index` along an axis; the other axes go together."""
    shape = x.shape
    out = kernels.gather(x, index, axis) if x.ndim else x[()].reshape(index.shape)
    return out, (lambda g: add_along_axis(shape, index, g, axis) if shape else g.reshape(shape),)
