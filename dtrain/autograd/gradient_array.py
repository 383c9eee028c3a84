"""The array of a gradient: its shape and dtype, its conjugate, and whether it has one owner."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from dtrain.backend import Array, kernels
from dtrain.backend.dtypes import float32, is_half


def sum_to(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which an input of `shape` was broadcast."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and grad.shape[extra + i] != 1
    )
    if isinstance(grad, np.ndarray) and is_half(grad.dtype):
        return grad.sum(axes, float32, keepdims=True).astype(grad.dtype).reshape(shape)
    if axes == tuple(range(len(axes))):
        return kernels.sum_leading(grad, len(axes)).reshape(shape)
    return grad.sum(axes, keepdims=True).reshape(shape)


def conjugate(grad: Array) -> Array:
    """The gradient that users see of one between nodes, and the other way round."""
    return grad.conj() if grad.dtype.kind == "c" else grad


def convert(grad: Array, dtype: np.dtype) -> Array:
    """A gradient in the dtype of its tensor; that of a real tensor is the real part."""
    if grad.dtype.kind == "c" and dtype.kind != "c":
        grad = grad.real
    return grad if grad.dtype == dtype else grad.astype(dtype)


def is_unshared(array: Array) -> bool:
    """Whether nothing but the caller, and its caller, has this array, nor a view of it; the array
    is contiguous and owns its memory."""
    return sys.getrefcount(array) == _REFERENCES and owns_memory(array)


def owns_memory(array: Array) -> bool:
    """Whether a host array is contiguous and no view."""
    return type(array) is np.ndarray and array.base is None and array.flags.carray


def _count_references() -> int:
    """What `sys.getrefcount` gives in `is_unshared` if only these two have the array."""

    def count(array: Array) -> int:
        return sys.getrefcount(array)

    def caller(array: Array) -> int:
        return count(array)

    array = np.empty(0)
    return caller(array)


#: -1, which no array has, where frames borrow references that are then not counted (CPython 3.14)
_REFERENCES = _count_references() if sys.version_info < (3, 14) else -1


def is_host_float(grad: Any) -> bool:
    """Whether a gradient is an array of float32 or float64 in host memory."""
    return type(grad) is np.ndarray and grad.dtype.char in "fd"
