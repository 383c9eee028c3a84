"""Tensor.__getitem__ and Tensor.__setitem__: PyTorch's rules of x[index]."""

from __future__ import annotations

import operator
from types import EllipsisType, NoneType
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.gradient_array import sum_to
from dtrain.autograd.op import record
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import rebase_history
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_inexact
from dtrain.backend.tracing import current_tracer, tracers
from dtrain.functions.creation import tensor
from dtrain.primitives import indexing as primitives

#: What may stand in x[...].
Index: TypeAlias = (
    SupportsIndex | slice | EllipsisType | Tensor | np.ndarray
    | list[Any] | tuple[Any, ...] | range | None
)  # fmt: skip


def _normalize_part(part: Any) -> Any:
    """Convert a part of an index to an int, bool, slice, None, ..., or an array of ints or bools.

    Raises
    ------
    IndexError
        If it is none of these, nor a list of numbers.
    """
    if type(part) is int:
        return part
    if isinstance(part, slice):
        if part.step is not None and int(part.step) <= 0:
            raise ValueError(f"index: expected slices with a step above 0, got {part}; use flip()")
        if not (type(part.stop) in _PLAIN and type(part.start) in _PLAIN and part.step is None):
            return _with_numbers(part)
        return part
    if part is None or part is Ellipsis or isinstance(part, int):
        return part
    if isinstance(part, (list, tuple, range)):
        part = tensor(list(part)) if len(part) else tensor([], "int64")
    if hasattr(part, "dtype"):  # a Tensor, or an array of either module
        array = part.array if isinstance(part, Tensor) else part
        kind = array.dtype
        if kind in (np.bool_, np.uint8):  # uint8 is a mask, too
            return array.astype(bool) if array.ndim else bool(array)
        if kind in (np.int32, np.int64):
            return array if array.ndim else int(array)
        if kind.kind == "i" and not array.ndim:
            return int(array)
        raise IndexError(f"index: expected a tensor of dtype int64, int32 or bool, got {kind}")
    raise (TypeError if isinstance(part, str) else IndexError)(
        "index: expected integers, slices, None, ..., or tensors or lists of integers or bools, "
        f"got {type(part).__name__}: {part!r}"
    )


def split_index(x: Array, index: Any) -> tuple[Any, Any]:
    """Split an index into basic indexing, which gives a view, and advanced indexing of that view.

    Either is None if there is none of it. Integers beside arrays are basic indices, unlike NumPy's;
    True is [0] in a new dimension.
    """
    if type(index) is int:
        return (index, ...), None
    if isinstance(index, list) and len(index) < 32 and any(map(_is_index_part, index)):
        index = tuple(index)  # as PyTorch does
    parts = [_normalize_part(part) for part in (index if isinstance(index, tuple) else (index,))]
    kinds = {type(part) for part in parts}
    if kinds <= _BASIC:
        return (*parts, *(() if EllipsisType in kinds else (...,))), None  # never a copy
    rest = x.ndim - sum(map(_num_indexed_dims, parts))
    every = slice(None)
    basic: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if part is Ellipsis:
            basic += [every] * rest
            arrays += [every] * rest
        elif isinstance(part, bool):
            basic.append(None)
            arrays.append(array_module(x).zeros(int(part), "int64"))
        elif isinstance(part, int):
            basic.append(part)
        elif part is None or isinstance(part, slice):
            basic.append(part)
            arrays.append(every)
        else:
            basic += [every] * _num_indexed_dims(part)
            arrays.append(part)
    return (None if all(p == every for p in basic) else tuple(basic)), tuple(arrays)


_BASIC = frozenset((int, slice, NoneType, EllipsisType))  # types of the parts of a basic index
_PLAIN = (int, NoneType)  # types of the bounds of most slices


def _with_numbers(part: slice) -> slice:
    """A slice whose bounds are tensors, by their present values: gradients need these later."""
    bounds = (part.start, part.stop, part.step)
    return slice(*(operator.index(b) if hasattr(b, "ndim") else b for b in bounds))


def _is_index_part(item: Any) -> bool:
    """Whether a list that holds `item` is a tuple of index parts, not a list of numbers."""
    kinds = (Tensor, np.ndarray, list, tuple, range, slice, NoneType, EllipsisType)
    return isinstance(item, kinds)


def to_index_array(part: Any) -> Any:
    """An index tensor or a mask as an array; None as a slice over the whole dimension."""
    if part is None:
        return slice(None)
    plain = _normalize_part(part)
    return plain if hasattr(plain, "dtype") else np.asarray(plain)


def _num_indexed_dims(part: Any) -> int:
    """The number of dimensions that a part of an index consumes."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if getattr(part, "dtype", None) == np.bool_ else 1


def getitem(x: Tensor, index: Index) -> Tensor:
    """x[index] (torch.Tensor.__getitem__)."""
    basic, arrays = split_index(x.array, index)
    if basic is not None:
        x = primitives.getitem(x, index=basic)
    return x if arrays is None else primitives.getitem(x, index=arrays)


def setitem(x: Tensor, index: Index, value: Any) -> None:
    """x[index] = value (torch.Tensor.__setitem__)."""
    if tracers and (tracer := current_tracer()) is not None:
        tracer.call(setitem, (x, index, value), {}, writes=(x,))
        return
    basic, arrays = split_index(x.array, index)
    if arrays is None and 0 in x.array.strides:  # the indexed part may still own its memory
        _assign(primitives.getitem(x, index=basic), (...,), value)
    elif arrays is None:
        _assign(x, basic, value)
    else:
        _assign(x if basic is None else primitives.getitem(x, index=basic), arrays, value)


def require_writable_memory(name: str, array: Array) -> None:
    """Refuse to write to a tensor whose elements overlap in memory, as after `expand`, and to a
    sharded parameter, whose memory the ranks share."""
    spread = array.size and 0 in array.strides
    if spread and any(n > 1 and not s for n, s in zip(array.shape, array.strides)):
        raise RuntimeError(
            f"{name}: several elements of the tensor share one memory location; write to a clone()"
        )
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise RuntimeError(
            f"{name}: the memory of the tensor is read-only. A parameter is sharded if fully_shard "
            "has its module: write to it inside `with summon_full_params(module)`, on every rank; "
            "write to a clone() of any other tensor"
        )


def _assign(x: Tensor, index: tuple, value: Any) -> None:
    if not isinstance(value, (Tensor, int, float, complex, np.generic)):
        raise TypeError(
            f"x[index] = value: expected a tensor or a number, got {type(value).__name__}; "
            "make it one with tensor()"
        )
    if isinstance(value, Tensor) and value.dtype != x.dtype:
        if not primitives.is_basic_index(index) and value.ndim:
            raise RuntimeError(
                f"x[index] = value: expected a value of dtype {x.dtype}, got {value.dtype}; "
                "convert it with .to(dtype)"
            )
        value = value if is_inexact(x.dtype) else value.detach()
    if isinstance(value, complex) and x.dtype.kind != "c":
        raise RuntimeError(
            f"x[index] = value: {value} cannot be converted to {x.dtype}; take its real part, or "
            "make x complex"
        )
    require_writable_memory("x[index] = value", x.array)
    value_grad = isinstance(value, Tensor) and value.requires_grad
    x._require_writable("x[index] = value", value_grad)
    xp = array_module(x.array)
    old = wrap(x.array)
    old._requires_grad, old._node = x.requires_grad, x._node
    array = value.array if isinstance(value, Tensor) else value
    if isinstance(array, int):  # which may be too large for the dtype
        array = xp.asarray(array).astype(x.dtype)
    try:
        x.array[index] = array
    except ValueError as error:
        raise RuntimeError(f"x[index] = value: {error}") from error
    x._version[0] += 1
    if not (grad_mode.is_grad_enabled() and (x._requires_grad or value_grad)):
        return
    shape = getattr(array, "shape", ())

    def grad_old(g: Array) -> Array:
        g = xp.array(g)
        g[index] = 0
        return g

    def grad_value(g: Array) -> Array:
        return sum_to(xp.array(g[index], ndmin=len(shape)), shape)

    written = record("setitem", (old, value), x.array, (grad_old, grad_value))
    rebase_history(x, written)
