"""Calls of array functions as rows of a table that runs without Python.

`backend/kernels/cpu/call_table.py` runs tables, and says what is in a row. Here are the functions
that may stand in one: NumPy's own inner loops, and kernels.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend import kernels
from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_functions import call_method
from dtrain.jit.array_places import Place, broadcast_strides, merge_axes, one_axis

#: Each element of the result is rounded once, so any steps give the same bits.
EXACT = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.square, np.sqrt, np.absolute,
    np.maximum, np.minimum, np.positive,
}  # fmt: skip
_ELEMENTWISE = EXACT | {np.tanh, np.exp, np.log, np.sin, np.cos}
#: The outputs of kernels that are sums of rows, and what those begin with: -0.0 + x is x, to the
#: bit, as NumPy's sums begin with the first row.
_FROM_ZERO = {1: 0.0, 2: 0.0}
_SUMS = {
    "add_rows": {0: -0.0},
    "layer_norm_backward": _FROM_ZERO,
    "rms_norm_backward": {1: 0.0},
    "group_norm_backward": _FROM_ZERO,
}
COLUMN_SUMS = f"{kernels.__name__}.cpu.sums", "column_sums"
_SOFTMAX = f"{kernels.__name__}.cpu.softmax", f"{kernels.__name__}.cpu.attention"
MASKED_SOFTMAX = f"{kernels.__name__}.cpu.masked_softmax", "masked_softmax"
_ROWS_OF_SOFTMAX = "softmax", "softmax_backward", "causal_softmax"


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
            return self._add_map(function.__name__, args, outputs[0])
        if (function.__module__, function.__name__) == MASKED_SOFTMAX:
            return self._add_masked_softmax(args[0], args[1], outputs[0])
        if function.__module__ in _SOFTMAX and function.__name__ in _ROWS_OF_SOFTMAX:
            return self._add_softmax(function.__name__, args, outputs[0])
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
        axes = merge_axes(
            [broadcast_strides(array, out.shape) for array in (*arrays, out)], out.shape
        )
        if ufunc not in EXACT and axes != one_axis(out, len(arrays) + 1):
            return False
        places, given = [], iter(range(len(arrays)))
        for arg in args:
            if isinstance(arg, Place):
                n = next(given)
                places.append((arg, [steps[n] for _, steps in axes]))
            else:
                places.append((self._constant(arg, dtype), [0] * len(axes)))
        places.append((out, [steps[-1] for _, steps in axes]))
        assert loop is not None
        inner = [steps[-1] for _, steps in places]
        return self._add_nest(loop, places, axes[:-1], [axes[-1][0]], inner)

    def _add_nest(
        self, function: tuple[int, int], places: Sequence[tuple[Place, Sequence[int]]],
        axes: Sequence[tuple[int, Any]], sizes: Sequence[int], steps: Sequence[int],
    ) -> bool:  # fmt: skip
        """Add rows for calls along outer axes: along the longest one a row calls by itself.

        places : of each argument its Place, and by how many bytes it moves along each axis
        axes : their sizes first; sizes, steps : of each call
        """
        order = sorted(range(len(axes)), key=lambda n: axes[n][0])
        outer, last = order[:-1], order[-1] if order else None
        for index in np.ndindex(*(axes[n][0] for n in outer)):
            moved = []
            for place, by in places:
                offset = place.offset + sum(n * by[axis] for n, axis in zip(index, outer))
                moved.append((place._replace(offset=offset), 0 if last is None else by[last]))
            count = 1 if last is None else axes[last][0]
            self._add_row(function, moved, count, sizes, steps)
        return True

    def _add_product(self, x: Any, y: Any, out: Place) -> bool:
        loop = _find_loop(np.matmul, out.dtype)
        operands = (x, y, out)
        if loop is None or not all(
            isinstance(a, Place) and a.dtype == out.dtype and len(a.shape) >= 2 for a in operands
        ):
            return False
        if any(a.shape[:-2] != out.shape[:-2] for a in operands):
            return False
        (n, k), m = x.shape[-2:], y.shape[-1]
        axes = merge_axes([a.strides[:-2] for a in operands], out.shape[:-2])
        places = [(a, [steps[i] for _, steps in axes]) for i, a in enumerate(operands)]
        steps = [by[-1] for _, by in places]
        for a in operands:
            steps += a.strides[-2:]
        return self._add_nest(loop, places, axes[:-1], [axes[-1][0], n, k, m], steps)

    def _add_sum(self, x: Any, axis: Any = None, *, out: Place) -> bool:
        if axis != 0 or len(x.shape) != 2 or x.shape[1] < 2 or not x.is_ordered:
            return False
        return len(out.shape) == 1 and self._add_kernel("add_rows", [x], [out], x.shape)

    def _add_map(self, name: str, args: Sequence[Any], out: Place) -> bool:
        """Add a kernel for elements one by one, of arrays of one shape."""
        from dtrain.backend.kernels.cpu.kernel_loops import kernel_loop

        arrays = [*(arg for arg in args if isinstance(arg, Place)), out]
        if any(x.shape != out.shape or x.dtype != out.dtype for x in arrays):
            return False
        if all(x.is_ordered for x in arrays):
            return self._add_kernel(name, args, [out], [math.prod(out.shape)])
        axes = merge_axes([x.strides for x in arrays], out.shape)
        loop = kernel_loop(name, out.dtype) if out.dtype.char in "fd" else None
        if loop is None or len(arrays) != len(args) + 1:
            return False
        if axes[-1][1] != [out.dtype.itemsize] * len(arrays):
            return False
        places = [(x, [steps[n] for _, steps in axes]) for n, x in enumerate(arrays)]
        data = self._loop_data(loop, [])
        return self._add_nest((loop.loop.address, data), places, axes[:-1], [axes[-1][0]], [])

    def _add_softmax(self, name: str, args: Sequence[Any], out: Place) -> bool:
        """Add a softmax along the last axis, or the gradient of one."""
        arrays = [arg for arg in args if isinstance(arg, Place)]
        numbers = [arg for arg in args if type(arg) is int]  # an axis, or the first query
        rows, n = math.prod(out.shape[:-1]), out.shape[-1]
        if any(x.shape != out.shape for x in arrays):
            return False
        if name == "causal_softmax":
            return self._add_kernel(name, arrays, [out], [rows, n, out.shape[-2], *numbers])
        if numbers[0] not in (-1, len(out.shape) - 1):
            return False
        return self._add_kernel(name, arrays, [out], [rows, n])

    def _add_masked_softmax(self, x: Place, mask: Place, out: Place) -> bool:
        n = out.shape[-1]
        sizes = [math.prod(out.shape[:-1]), n, math.prod(mask.shape) // n]
        return x.shape == out.shape and self._add_kernel("masked_softmax", [x, mask], [out], sizes)

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
        function = loop.loop.address, self._loop_data(loop, numbers)
        self._add_row(function, [(place, 0) for place in places], 1, sizes, [])

    def _loop_data(self, loop: Any, numbers: Sequence[float]) -> int:
        """The address of the data of a kernel's loop."""
        data = np.array([loop.kernel, *np.array(numbers, np.float64).view(np.int64)], np.int64)
        self._kept.append(data)
        return data.ctypes.data


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
