"""Where arrays lie in the memories of a table (`call_tables.py`), and along which axes they run."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_functions import call_method, get_attribute

_VIEW_METHODS = {"reshape", "swapaxes", "transpose", "view"}


class Place(NamedTuple):
    """Where a value lies: in which memory of a table, at which offset, and how."""

    memory: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @property
    def is_ordered(self) -> bool:
        """Whether the elements lie in C order, without gaps."""
        return self.strides == c_strides(self.shape, self.dtype)


def c_strides(shape: Sequence[int], dtype: np.dtype) -> tuple[int, ...]:
    """The strides of a new array."""
    strides, step = [], dtype.itemsize
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def place_view(call: ArrayCall, source: Place) -> Place | None:
    """Where the result of a call lies that makes a view of its argument; None if it makes none."""
    is_method = call.function is call_method and call.args[0] in _VIEW_METHODS
    if not is_method and call.function not in (get_attribute, operator.getitem):
        return None
    others = [arg for arg in call.args if not isinstance(arg, Place)]
    form = call.function, repr((others, call.kwargs)), source._replace(memory=0)
    if form not in _views:
        _views[form] = _find_view(call, source)
    found = _views[form]
    return found and found._replace(memory=source.memory)


#: What `place_view` has found, as a view of the memory 0.
_views: dict[tuple[Any, str, Place], Place | None] = {}


def _find_view(call: ArrayCall, source: Place) -> Place | None:
    size = sum((n - 1) * s for n, s in zip(source.shape, source.strides)) + source.dtype.itemsize
    base = np.empty(size, np.uint8)
    array = np.ndarray(source.shape, source.dtype, base, 0, source.strides)
    args = [array if isinstance(arg, Place) else arg for arg in call.args]
    made = call.function(*args, **call.kwargs)
    if not isinstance(made, np.ndarray) or not made.size or not np.may_share_memory(made, base):
        return None
    offset = made.ctypes.data - base.ctypes.data
    strides = c_strides(made.shape, made.dtype) if made.flags.c_contiguous else made.strides
    return Place(0, source.offset + offset, made.shape, strides, made.dtype)


def has_ordered_batch(place: Place) -> bool:
    """Whether the matrices of an array lie one after the other."""
    steps = [s for s, n in zip(place.strides, place.shape[:-2]) if n > 1 and s]
    return steps == sorted(steps, reverse=True)


def broadcast_strides(place: Place, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an argument that is broadcast to a shape."""
    missing = len(shape) - len(place.shape)
    return (0,) * missing + tuple(
        0 if size == 1 else stride for size, stride in zip(place.shape, place.strides)
    )


def merge_axes(
    strides: Sequence[Sequence[int]], shape: Sequence[int]
) -> list[tuple[int, list[int]]]:  # fmt: skip
    """(size, strides of each operand) of as few axes as run over all elements."""
    axes: list[tuple[int, list[int]]] = []
    for size, *steps in zip(shape, *strides):
        if size == 1:
            continue
        if axes and axes[-1][1] == [step * size for step in steps]:
            axes[-1] = (axes[-1][0] * size, steps)
        else:
            axes.append((size, steps))
    return axes or [(1, [0] * len(strides))]


def one_axis(out: Place, operands: int) -> list[tuple[int, list[int]]]:
    """The axes where all operands lie as `out` does, without gaps."""
    return [(math.prod(out.shape), [out.dtype.itemsize] * operands)]
