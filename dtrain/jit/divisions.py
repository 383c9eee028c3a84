"""How calls of array functions are divided into blocks of rows (`row_blocks.py`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.backend import kernels
from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_functions import call_method
from dtrain.jit.array_places import Place, c_strides
from dtrain.jit.native_calls import COLUMN_SUMS, EXACT, MASKED_SOFTMAX

_ACTIVATION, _NORM = f"{kernels.__name__}.cpu.activation", f"{kernels.__name__}.cpu.norm"
_SOFTMAX = f"{kernels.__name__}.cpu.softmax", f"{kernels.__name__}.cpu.attention"


class Division(NamedTuple):
    """How a call can be divided.

    rows : into so many at most, where `is_fixed`, else into any divisor of it
    tail : the shape of a row in the call's own view of its arrays; () where it does not matter
    kinds : for each array among arguments and outputs: "row" by row, "whole" for each block, or
        a "sum" of rows
    is_flat : whether all of the arrays lie in C order, and a row is a part of one; else it is cut
        from the first axes
    """

    rows: int
    tail: tuple[int, ...]
    kinds: tuple[str, ...]
    is_fixed: bool = True
    is_flat: bool = True

    def part(self, place: Place, kind: str, rows: int, block: int) -> Place:
        """The first block of an array of which there are so many rows."""
        if self.is_flat:
            return as_block(place, self._shape(place, kind, rows, block))
        row = split_rows(place, rows) if kind == "row" else None
        if row is None:
            return place
        return place._replace(shape=(block, *row.shape), strides=(row.step, *row.strides))

    def _shape(self, place: Place, kind: str, rows: int, block: int) -> tuple[int, ...]:
        size, inner = math.prod(place.shape), math.prod(self.tail)
        if kind != "row":
            return (size,)
        width = size // rows
        if width % inner:  # a number for each row, or for each group of one
            return block * width, 1
        return (block * (width // inner), *self.tail)


class Row(NamedTuple):
    """The rows of an array: the bytes from one to the next, and how the first one lies."""

    step: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def bytes(self, dtype: np.dtype) -> int:
        """The bytes from the first element of a row to its last."""
        return sum((n - 1) * s for n, s in zip(self.shape, self.strides)) + dtype.itemsize


def split_rows(place: Place, rows: int) -> Row | None:
    """The rows of an array that is cut along its first axes; None if they are not equally far
    from each other."""
    step, missing = None, rows
    for axis, (size, stride) in enumerate(zip(place.shape, place.strides)):
        inner = 1 if missing % size == 0 else size // missing
        if size > 1 and step not in (None, size * stride):
            return None
        if missing % size and size % missing:
            return None
        step = stride * inner if size > 1 else step
        missing = missing // size if inner == 1 else 1
        if missing == 1:
            shape, strides = place.shape[axis + 1 :], place.strides[axis + 1 :]
            if inner > 1:
                shape, strides = (inner, *shape), (stride, *strides)
            return Row(step or 0, shape, strides)
    return None


def row_step(place: Place, rows: int) -> int | None:
    """The bytes from one row to the next."""
    if place.is_ordered:
        return math.prod(place.shape) // rows * place.dtype.itemsize
    row = split_rows(place, rows)
    return row and row.step


def find_axes(place: Place) -> tuple[int, ...] | None:
    """The axes of an array from the outermost in memory on; None if there are gaps."""
    axes = sorted(range(len(place.shape)), key=lambda n: (-place.strides[n], n))
    shape = tuple(place.shape[n] for n in axes)
    is_dense = tuple(place.strides[n] for n in axes) == c_strides(shape, place.dtype)
    return tuple(axes) if is_dense else None


def as_block(place: Place, shape: tuple[int, ...]) -> Place:
    """The beginning of an array, in another shape."""
    return place._replace(shape=shape, strides=c_strides(shape, place.dtype))


#: The kinds of the arrays of kernels for rows that have the shape of the first output's, but for
#: the first axis.
_NORMS = {
    "layer_norm": ("row", "whole", "whole", "row", "row", "row"),
    "layer_norm_backward": ("row", "row", "whole", "row", "row", "row", "sum", "sum"),
    "rms_norm": ("row", "whole", "row", "row"),
    "rms_norm_backward": ("row", "row", "whole", "row", "row", "sum"),
    "group_norm": ("row", "whole", "whole", "row", "row", "row"),
    "group_norm_backward": ("row", "row", "whole", "row", "row", "row", "sum", "sum"),
}


def divide_call(call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> Division | None:
    """How a call of arrays in C order can be divided into blocks; None if it cannot."""
    function: Any = call.function
    given = [arg for arg in args if isinstance(arg, Place)]
    (out, *_), size = outputs, math.prod(outputs[0].shape)
    module, name = getattr(function, "__module__", ""), getattr(function, "__name__", "")
    if isinstance(function, np.ufunc):
        found = [_kind_of_operand(place.shape, out.shape) for place in given]
        widths = {math.prod(p.shape) for p, kind in zip(given, found) if kind == "whole"}
        if function not in EXACT or None in found or len(widths) > 1:
            return None
        tail = tuple(widths)
        return Division(size // math.prod(tail), tail, (*filter(None, found), "row"), False)
    if module == _ACTIVATION and all(place.shape == out.shape for place in given):
        return Division(size, (), ("row",) * (len(given) + 1), False)
    if module == _NORM and name in _NORMS and len(given) + len(outputs) == len(_NORMS[name]):
        return Division(out.shape[0], out.shape[1:], _NORMS[name])
    if module in _SOFTMAX and all(place.shape == out.shape for place in given):
        axes = 2 if name == "causal_softmax" else 1
        if name not in ("softmax", "softmax_backward", "causal_softmax"):
            return None
        tail = out.shape[-axes:]
        return Division(size // math.prod(tail), tail, ("row",) * (len(given) + 1), False)
    if (module, name) == MASKED_SOFTMAX and given[0].shape == out.shape:
        tail = out.shape[len(out.shape) - _axes_of(given[1]) :]
        return Division(size // math.prod(tail), tail, ("row", "whole", "row"), False)
    is_sum = function is call_method and list(args[:1]) + list(args[2:]) == ["sum", 0]
    if (is_sum or (module, name) == COLUMN_SUMS) and len(given[0].shape) == 2:
        return Division(given[0].shape[0], given[0].shape[1:], ("row", "sum"))
    return None


def divide_views(call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> Division | None:
    """How a call of arrays in any order can be divided, along the first axes of all of them."""
    function: Any = call.function
    if len(outputs) != 1:
        return None
    given, (out,) = [arg for arg in args if isinstance(arg, Place)], outputs
    inner = 0
    if function is np.matmul:
        if any(place.shape[:-2] != out.shape[:-2] for place in given):
            return None
        kinds: list[str | None] = ["row"] * len(given)
        inner = 2
    elif function in EXACT or getattr(function, "__module__", "") == _ACTIVATION:
        kinds = [_kind_of_operand(place.shape, out.shape) for place in given]
        if None in kinds:
            return None
        inner = max((len(p.shape) for p, kind in zip(given, kinds) if kind == "whole"), default=0)
    else:
        return None
    cut = [out, *(place for place, kind in zip(given, kinds) if kind == "row")]
    rows = math.gcd(*(_rows_of(place, len(out.shape) - inner) for place in cut))
    if rows == 1:
        return None
    return Division(rows, (), (*filter(None, kinds), "row"), False, False)


def _rows_of(place: Place, axes: int) -> int:
    """Into how many rows, equally far from each other, some first axes cut an array."""
    rows, step = 1, None
    for size, stride in zip(place.shape[:axes], place.strides):
        if size > 1 and step not in (None, size * stride):
            break
        rows, step = rows * size, stride if size > 1 else step
    return rows


def _axes_of(place: Place) -> int:
    """The axes of an array without those of size 1 before all others."""
    return len(place.shape) - next((n for n, size in enumerate(place.shape) if size != 1), 0)


def _kind_of_operand(shape: tuple[int, ...], like: tuple[int, ...]) -> str | None:
    if shape == like:
        return "row"
    while shape[:1] == (1,):
        shape = shape[1:]
    return "whole" if shape and shape == like[-len(shape) :] else None
