"""Reading and writing by index, gathering, masking, choosing, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.graph import sum_to
from dtrain.autograd.op import op, record, view_op
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import take_history
from dtrain.backend import Array, array_module
from dtrain.ops.scatter import check_places


def _is_basic(index: Any) -> bool:
    """Whether NumPy answers this index with a view."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts)


def _plain(index: Any) -> Any:
    """An index with arrays in place of tensors and lists, and ints in place of NumPy's."""
    if isinstance(index, tuple):
        return tuple(_plain(part) for part in index)
    if isinstance(index, Tensor):
        return index._array
    if isinstance(index, np.integer):
        return int(index)
    if isinstance(index, (list, range)):
        places = np.asarray(index)
        return places if places.size else places.astype(np.int64)
    return index


@view_op
def getitem(x: Array, *, index: Any):
    """x[index], with NumPy's basic, advanced and boolean indexing."""
    xp = array_module(x)
    shape = x.shape

    def grad_x(g):
        full = xp.zeros(shape, g.dtype)
        if _is_basic(index):
            full[index] = g
        else:
            xp.add.at(full, index, g)
        return full

    return x[index], (grad_x,)


def read(x: Tensor, index: Any) -> Tensor:
    """x[index] (torch.Tensor.__getitem__)."""
    index = _plain(index)
    if _is_basic(index):
        parts = index if isinstance(index, tuple) else (index,)
        index = parts if Ellipsis in parts else (*parts, ...)  # one element is a view too
    return getitem(x, index=index)


def write(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value (torch.Tensor.__setitem__)."""
    index = _plain(index)
    value_grad = isinstance(value, Tensor) and value.requires_grad
    x._require_writable("x[index] = value", value_grad)
    xp = array_module(x._array)
    old = wrap(x._array)
    old._requires_grad, old._node = x.requires_grad, x._node
    array = value._array if isinstance(value, Tensor) else value
    x._array[index] = array
    x._version[0] += 1
    if not (grad_mode.is_grad_enabled() and (x._requires_grad or value_grad)):
        return
    shape = getattr(array, "shape", ())

    def grad_old(g):
        g = xp.array(g)
        g[index] = 0
        return g

    def grad_value(g):
        return sum_to(xp.array(g[index], ndmin=len(shape)), shape)

    written = record("setitem", (old, value), x._array, (grad_old, grad_value))
    take_history(x, written)


@op
def where(x: Array, y: Array, *, condition: Array):
    """x where the condition holds, y elsewhere."""
    xp = array_module(condition)
    out = xp.where(condition, x, y)
    return out, (
        lambda g: xp.where(condition, g, g.dtype.type(0)),
        lambda g: xp.where(condition, g.dtype.type(0), g),
    )


@op
def masked_fill(x: Array, *, mask: Array, value: Any):
    """x with `value` where the mask holds."""
    xp = array_module(x)
    out = xp.where(mask, x.dtype.type(value), x)
    return out, (lambda g: xp.where(mask, g.dtype.type(0), g),)


@op
def gather(x: Array, *, axis: int, index: Array):
    """The elements of x at `index` along an axis; the other axes go together."""
    xp = array_module(x)
    place = list(xp.indices(index.shape))
    place[axis : axis + 1] = [index] if x.ndim else []
    shape = x.shape

    def grad_x(g):
        full = xp.zeros(shape, g.dtype)
        xp.add.at(full, tuple(place), g)
        return full

    return x[tuple(place)], (grad_x,)


@op
def embedding(weight: Array, *, index: Array, padding_index: int | None = None):
    """Rows of a table; the row `padding_index` gets no gradient."""
    xp = array_module(weight)
    shape = weight.shape
    check_places(index, shape[0], "embedding")

    def grad_weight(g):
        full = xp.zeros(shape, g.dtype)
        xp.add.at(full, index.reshape(-1), g.reshape(-1, shape[1]))
        if padding_index is not None:
            full[padding_index] = 0
        return full

    return weight[index], (grad_weight,)


@op
def sort(x: Array, *, axis: int, descending: bool):
    """Where each element of the sorted order comes from; equal ones keep their order."""
    if not x.ndim:
        return array_module(x).zeros((), "int64"), ()
    if not descending:
        return x.argsort(axis, kind="stable"), ()
    xp = array_module(x)
    last = x.shape[axis] - 1
    return xp.flip(last - xp.flip(x, axis).argsort(axis, kind="stable"), axis), ()
