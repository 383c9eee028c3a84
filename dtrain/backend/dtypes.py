"""Data types under PyTorch's names, and how two of them promote to one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

bool_ = np.dtype(np.bool_)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
float16 = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)

_default: np.dtype = float32


def get_default_dtype() -> np.dtype:
    """The dtype that Python floats become in a new tensor (torch.get_default_dtype)."""
    return _default


def set_default_dtype(dtype: np.dtype) -> None:
    """Set the dtype that Python floats become in a new tensor (torch.set_default_dtype)."""
    global _default
    if not is_floating(dtype):
        raise TypeError(f"set_default_dtype: expected a floating dtype, got {np.dtype(dtype)}")
    _default = np.dtype(dtype)


def is_floating(dtype: Any) -> bool:
    """Whether `dtype` is one of the floating types."""
    return np.dtype(dtype).kind == "f"


_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}


def category(dtype: np.dtype) -> int:
    """0 for bool, 1 for integers, 2 for floating types: the order in which PyTorch promotes."""
    return _CATEGORY[dtype.kind]


def promote(x: np.dtype, y: np.dtype) -> np.dtype:
    """The dtype of an operation between two tensors with dimensions (torch.promote_types).

    Unlike NumPy, an integer never widens a float: int64 with float32 is float32.

    >>> promote(int64, float32)
    dtype('float32')
    """
    if category(x) != category(y):
        return x if category(x) > category(y) else y
    return np.promote_types(x, y)


def scalar_dtype(value: Any) -> np.dtype:
    """The dtype that a Python number has in a tensor of its own.

    >>> scalar_dtype(1.5), scalar_dtype(2)
    (dtype('float32'), dtype('int64'))
    """
    if isinstance(value, (bool, np.bool_)):
        return bool_
    return int64 if isinstance(value, (int, np.integer)) else _default


def as_number(value: float, dtype: np.dtype) -> float:
    """`value` as `dtype` holds it; refused if it is too large for it.

    >>> as_number(1.5, int64)
    1
    """
    if dtype.kind == "b":
        return bool(value)
    limits = np.finfo(dtype) if is_floating(dtype) else np.iinfo(dtype)
    held = value if is_floating(dtype) and not math.isfinite(value) else None
    if held is None and not limits.min <= value <= limits.max:
        raise RuntimeError(f"value {value} cannot be converted to {dtype} without overflow")
    return dtype.type(value).item() if held is None else held
