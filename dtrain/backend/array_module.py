"""Which array module an array belongs to, and moving arrays between host and device."""

from __future__ import annotations

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
    for array in arrays:
        if not isinstance(array, np.ndarray) and type(array).__module__.startswith("cupy"):
            import cupy

            return cupy
    return np


def to_host(array: Array) -> np.ndarray:
    """The array in host memory; a host array is returned as it is, a device array is copied."""
    return array if isinstance(array, np.ndarray) else array.get()
