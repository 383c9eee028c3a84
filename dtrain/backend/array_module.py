"""Which array module an array belongs to, and moving arrays between host and device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

#: A NumPy or a CuPy array.
Array: TypeAlias = Any


def array_module(*arrays: Array) -> ModuleType:
    """The module, NumPy or CuPy, whose functions take these arrays.

    >>> array_module(np.zeros(3)).__name__
    'numpy'
    """
    module: Any = np
    for array in arrays:
        if type(array) is np.ndarray:
            continue
        if hasattr(array, "array_module"):  # a RecordedArray, which wraps a Tensor, or a proxy
            return array.array_module
        if is_cupy(array):
            import cupy

            module = cupy
    return module


def is_cupy(value: Any) -> bool:
    """Whether a value is a CuPy array; does not import CuPy."""
    kind = type(value)
    return kind is not np.ndarray and kind.__module__.startswith("cupy")


def move_elements(function: Callable[..., Array], *values: Any) -> Array:
    """function(*values), which chooses among elements or moves them; of bfloat16 arrays of CuPy,
    which it would widen, as the 16-bit integers that have their bits."""
    halves = [v.dtype for v in values if is_cupy(v) and v.dtype.char == "E"]
    if not halves:
        return function(*values)
    import cupy

    words = [cupy.asarray(value, halves[0]).view("uint16") for value in values]
    return function(*words).view(halves[0])


def where(condition: Array, x: Any, y: Any) -> Array:
    """Elements of x where the condition holds, elsewhere of y, in their dtype."""
    xp = array_module(condition, x, y)
    if is_cupy(x) or is_cupy(y):
        return move_elements(lambda x, y: xp.where(condition, x, y), x, y)
    return xp.where(condition, x, y)


def to_sortable(array: Array) -> Array:
    """The array, in float32 if it holds bfloat16 on a GPU: CuPy does not sort these."""
    return array.astype("float32") if is_cupy(array) and array.dtype.char == "E" else array


def to_host(array: Array) -> np.ndarray:
    """The array in host memory; a host array is returned as it is, a device array is copied."""
    return array if isinstance(array, np.ndarray) else array.get()


def pieces(flat: Array, length: int, start: int = 0, stop: int | None = None) -> Iterator[slice]:
    """Slices of `length` elements of a flat array, for several operations in a row on each slice.

    A slice stays in the cache between the operations. A device array is one slice, since each
    operation on a slice is a kernel launch.

    >>> list(pieces(np.zeros(5), 2, start=1))
    [slice(1, 3, None), slice(3, 5, None)]
    """
    stop = len(flat) if stop is None else stop
    if not isinstance(flat, np.ndarray):
        length = max(stop - start, 1)
    for low in range(start, stop, length):
        yield slice(low, min(low + length, stop))


def is_writable(array: Array) -> bool:
    """Whether an array's elements can be assigned; on a GPU always."""
    return array.flags.writeable if isinstance(array, np.ndarray) else True


def address(array: Array) -> int:
    """The memory address of the first element of an array."""
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr
