"""Calls of array functions as rows of a table that runs without Python.

`backend/kernels/cpu/call_table.py` runs tables, and says what is in a row. Here are the functions
that may stand in one: NumPy's own inner loops, and kernels.
"""

from __future__ import annotations

import ctypes
import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.backend import kernels
from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_functions import call_method, get_attribute

#: Each element of the result is rounded once, so any steps give the same bits.
EXACT = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.square, np.sqrt, np.absolute,
    np.maximum, np.minimum,
}  # fmt: skip
_ELEMENTWISE = EXACT | {np.tanh, np.exp, np.log, np.sin, np.cos}
#: The outputs of kernels that are sums of rows, and what those begin with: -0.0 + x is x, to the
#: bit, as NumPy's sums begin with the first row.
_FROM_ZERO = {1: 0.0, 2: 0.0}
_SUMS = {
    "add_rows": {0: -0.0},
    "layer_norm_backward": _FROM_ZERO,
    "group_norm_backward": _FROM_ZERO,
}
COLUMN_SUMS = f"{kernels.__name__}.cpu.sums", "column_sums"
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
    return Place(0, source.offset + offset, made.shape, made.strides, made.dtype)


class Rows:
    """The rows of a table in the making.

    constants : arrays that are given to the table besides the others; `first_constant` is the
        number of the first one's memory
    fills : gets the rows that fill what sums are added to; by default they come before each sum
    """

    def __init__(self, first_constant: int, fills: Rows | None = None):
        self._first = first_constant
        self.constants: list[np.ndarray] = []
        self.rows: list[list[int]] = []
        self._fills = self if fills is None else fills
        self._kept: list[Any] = []  # arrays whose addresses are in the rows

    def table(self) -> np.ndarray:
        """The rows, as an array."""
        from dtrain.backend.kernels.cpu.call_table import WIDTH

        return np.array(self.rows, np.int64).reshape(-1, WIDTH)

    def add(self, call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> bool:
        """Add a call, whose arrays are Places; False if it cannot stand in a table."""
        function: Any = call.function
        if isinstance(function, np.ufunc):
            (out,) = outputs
            if function is np.matmul:
                return self._add_product(args[0], args[1], out)
            return function in _ELEMENTWISE and self._add_elementwise(function, args, out)
        if function is call_method and args[0] == "sum":
            return self._add_sum(*args[1:], out=outputs[0])
        if (
            function.__module__ == f"{kernels.__name__}.cpu.sums"
            and function.__name__ == "column_sums"
        ):
            return self._add_sum(args[0], 0, out=outputs[0])
        if function.__module__ == f"{kernels.__name__}.cpu.norm":
            return self._add_kernel(function.__name__, args, outputs, outputs[0].shape)
        if function.__module__ == f"{kernels.__name__}.cpu.activation":
            shape = outputs[0].shape
            return all(x.shape == shape for x in args if isinstance(x, Place)) and self._add_kernel(
                function.__name__, args, outputs, [math.prod(shape)]
            )
        return False

    def _add_row(
        self, function: tuple[int, int], places: Sequence[tuple[Place, int]], count: int,
        sizes: Sequence[int], steps: Sequence[int],
    ) -> bool:  # fmt: skip
        """places : of each argument its Place, and by how many bytes it moves between calls"""
        from dtrain.backend.kernels.cpu import call_table  # Numba is imported where it is needed

        row = [0] * call_table.WIDTH
        row[:4] = *function, len(places), count
        for k, (place, step) in enumerate(places):
            start = call_table.ARGUMENTS + 3 * k
            row[start : start + 3] = place.memory, place.offset, step
        row[call_table.SIZES : call_table.SIZES + len(sizes)] = sizes
        row[call_table.STEPS : call_table.STEPS + len(steps)] = steps
        self.rows.append(row)
        return True

    def _constant(self, value: Any, dtype: np.dtype) -> Place:
        """A number as an array of a table."""
        self.constants.append(np.array(value, dtype))
        return Place(self._first + len(self.constants) - 1, 0, (), (), dtype)

    def _add_elementwise(self, ufunc: np.ufunc, args: Sequence[Any], out: Place) -> bool:
        dtype, loop = out.dtype, _find_loop(ufunc, out.dtype)
        arrays = [arg for arg in args if isinstance(arg, Place)]
        numbers = [arg for arg in args if not isinstance(arg, Place)]
        fits = loop is not None and all(array.dtype == dtype for array in arrays)
        if not fits or any(type(number) not in (int, float) for number in numbers):
            return False
        axes = _merge_axes([_broadcast(array, out.shape) for array in (*arrays, out)], out.shape)
        if len(axes) > 2 or (ufunc not in EXACT and axes != _one_axis(out, len(arrays) + 1)):
            return False
        places, given = [], iter(range(len(arrays)))
        for arg in args:
            if isinstance(arg, Place):
                n = next(given)
                places.append((arg, [steps[n] for _, steps in axes]))
            else:
                places.append((self._constant(arg, dtype), [0] * len(axes)))
        places.append((out, [steps[-1] for _, steps in axes]))
        count = axes[0][0] if len(axes) == 2 else 1
        with_steps = [(place, steps[0] if len(axes) == 2 else 0) for place, steps in places]
        assert loop is not None
        return self._add_row(loop, with_steps, count, [axes[-1][0]], [s[-1] for _, s in places])

    def _add_product(self, x: Any, y: Any, out: Place) -> bool:
        loop = _find_loop(np.matmul, out.dtype)
        operands = (x, y, out)
        if loop is None or not all(
            isinstance(a, Place) and a.dtype == out.dtype and len(a.shape) == 2 for a in operands
        ):
            return False
        (n, k), m = x.shape, y.shape[1]
        steps = [0, 0, 0, *x.strides, *y.strides, *out.strides]
        return self._add_row(loop, [(a, 0) for a in operands], 1, [1, n, k, m], steps)

    def _add_sum(self, x: Any, axis: Any = None, *, out: Place) -> bool:
        if axis != 0 or len(x.shape) != 2 or x.shape[1] < 2 or not x.is_ordered:
            return False
        return len(out.shape) == 1 and self._add_kernel("add_rows", [x], [out], x.shape)

    def _add_kernel(
        self, name: str, args: Sequence[Any], outputs: Sequence[Place], sizes: Sequence[int]
    ) -> bool:  # fmt: skip
        from dtrain.backend.kernels.cpu.call_table import MAX_ARGUMENTS
        from dtrain.backend.kernels.cpu.kernel_loops import kernel_loop

        places = [arg for arg in args if isinstance(arg, Place)]
        numbers = [arg for arg in args if not isinstance(arg, Place) and type(arg) is not int]
        sizes = [*sizes, *(arg for arg in args if type(arg) is int)]
        dtype = outputs[0].dtype
        everything = [*places, *outputs]
        if any(type(n) is not float for n in numbers) or len(numbers) > 1:
            return False
        if dtype.char not in "fd" or len(everything) > MAX_ARGUMENTS:
            return False
        if not all(place.is_ordered and place.dtype == dtype for place in everything):
            return False
        loop = kernel_loop(name, dtype)
        if loop is None:
            return False
        for n, start in _SUMS.get(name, {}).items():
            self._fills._add_fill(outputs[n], start)
        self._add_loop(loop, everything, numbers, sizes)
        return True

    def _add_fill(self, out: Place, value: float) -> None:
        from dtrain.backend.kernels.cpu.kernel_loops import kernel_loop

        loop = kernel_loop("fill", out.dtype)
        assert loop is not None
        self._add_loop(loop, [out], [value], [math.prod(out.shape)])

    def _add_loop(
        self, loop: Any, places: Sequence[Place], numbers: Sequence[float], sizes: Sequence[int]
    ) -> None:  # fmt: skip
        data = np.array([loop.kernel, *np.array(numbers, np.float64).view(np.int64)], np.int64)
        self._kept.append(data)
        function = loop.loop.address, data.ctypes.data
        self._add_row(function, [(place, 0) for place in places], 1, sizes, [])


def _broadcast(place: Place, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an argument that is broadcast to a shape."""
    missing = len(shape) - len(place.shape)
    return (0,) * missing + tuple(
        0 if size == 1 else stride for size, stride in zip(place.shape, place.strides)
    )


def _merge_axes(
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


def _one_axis(out: Place, operands: int) -> list[tuple[int, list[int]]]:
    """The axes where all operands lie as `out` does, without gaps."""
    return [(math.prod(out.shape), [out.dtype.itemsize] * operands)]


@functools.cache
def _find_loop(ufunc: np.ufunc, dtype: np.dtype) -> tuple[int, int] | None:
    """The addresses of NumPy's inner loop and of its data (`PyUFuncObject`, of the C API)."""
    signature = f"{dtype.char * ufunc.nin}->{dtype.char}"
    if dtype.char not in "fd" or signature not in ufunc.types:
        return None
    read = ctypes.c_int64.from_address
    number = 8 * ufunc.types.index(signature)
    return read(read(id(ufunc) + 32).value + number).value, read(
        read(id(ufunc) + 40).value + number
    ).value
