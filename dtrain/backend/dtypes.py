"""Data types under PyTorch's names, and type promotion."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import ml_dtypes  # from then on NumPy knows the name "bfloat16", too
import numpy as np

#: Values of a `dtype` argument: a dtype, its name or its scalar type; None is the default.
DTypeLike: TypeAlias = np.dtype[Any] | type | str | None

bool_: np.dtype = np.dtype(np.bool_)
uint8: np.dtype = np.dtype(np.uint8)
int8: np.dtype = np.dtype(np.int8)
int16: np.dtype = np.dtype(np.int16)
int32: np.dtype = np.dtype(np.int32)
int64: np.dtype = np.dtype(np.int64)
float16: np.dtype = np.dtype(np.float16)
bfloat16: np.dtype = np.dtype(ml_dtypes.bfloat16)
float32: np.dtype = np.dtype(np.float32)
float64: np.dtype = np.dtype(np.float64)
complex64: np.dtype = np.dtype(np.complex64)
complex128: np.dtype = np.dtype(np.complex128)

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
    return np.dtype(dtype).kind in FLOATING


def is_inexact(dtype: Any) -> bool:
    """Whether `dtype` is a floating or a complex type: one whose tensors can have gradients."""
    return (dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)).kind in INEXACT


def is_complex(dtype: Any) -> bool:
    """Whether `dtype` is one of the complex types."""
    return np.dtype(dtype).kind == "c"


def real_dtype(dtype: Any) -> np.dtype:
    """The dtype of the real part of numbers of a dtype.

    >>> real_dtype(complex64), real_dtype(float64)
    (dtype('float32'), dtype('float64'))
    """
    dtype = np.dtype(dtype)
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def complex_dtype(dtype: Any) -> np.dtype:
    """The complex dtype with parts of a floating dtype; of a half one complex64.

    >>> complex_dtype(float32), complex_dtype(float64)
    (dtype('complex64'), dtype('complex128'))
    """
    return complex128 if np.dtype(dtype) in (float64, complex128) else complex64


#: The kinds of the floating dtypes; bfloat16 has kind "V" in NumPy.
FLOATING = "fV"
#: The kinds of the floating and the complex dtypes.
INEXACT = "fVc"
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


def is_half(dtype: np.dtype) -> bool:
    """Whether a dtype is float16 or bfloat16; sums and formulas of these compute in float32."""
    return dtype.itemsize == 2 and dtype.kind in FLOATING


def category(dtype: np.dtype) -> int:
    """0 for bool, 1 for integers, 2 for floating types, 3 for complex ones: PyTorch's order."""
    return _CATEGORY[dtype.kind]


def promote(x: np.dtype, y: np.dtype) -> np.dtype:
    """The dtype of an operation between two tensors with dimensions (torch.promote_types).

    Unlike NumPy, an integer never widens a float: int64 with float32 is float32.

    >>> promote(int64, float32)
    dtype('float32')
    """
    low, high = sorted((category(x), category(y)))
    if (low, high) == (2, 3):
        return complex128 if {x, y} & {float64, complex128} else complex64
    if low != high:
        return x if category(x) == high else y
    if x != y and is_half(x) and is_half(y):
        return float32
    return np.promote_types(x, y)


def scalar_dtype(value: Any) -> np.dtype:
    """The dtype of a tensor made from a Python number.

    >>> scalar_dtype(1.5), scalar_dtype(2)
    (dtype('float32'), dtype('int64'))
    """
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (complex, np.complexfloating)):
        return complex_dtype(_default)
    return int64 if isinstance(value, (int, np.integer)) else _default


def as_number(value: Any, dtype: np.dtype) -> Any:
    """`value` rounded to `dtype`; raises RuntimeError if it is out of range.

    >>> as_number(1.5, int64)
    1
    """
    if dtype.kind == "b":
        return bool(value)
    if dtype.kind == "c":
        return complex(value)
    if isinstance(value, complex):
        if value.imag:
            raise RuntimeError(f"value {value} cannot be converted to {dtype} without overflow")
        value = value.real
    if is_floating(dtype) and not math.isfinite(value):
        return value
    limits: Any = finfo(dtype) if is_floating(dtype) else iinfo(dtype)
    if not limits.min <= value <= limits.max:
        raise RuntimeError(f"value {value} cannot be converted to {dtype} without overflow")
    return float(dtype.type(value)) if is_floating(dtype) else int(value)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether an in-place result of one dtype may go to a tensor of another (torch.can_cast).

    >>> can_cast(float64, float32), can_cast(float32, int64)
    (True, False)
    """
    return category(np.dtype(from_)) <= category(np.dtype(to))


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype that both promote to (torch.promote_types)."""
    return promote(np.dtype(type1), np.dtype(type2))


class finfo:
    """The limits of a floating dtype, of the default one if none is given (torch.finfo).

    >>> finfo(float32).eps
    1.1920928955078125e-07
    """

    dtype: str
    bits: int
    eps: float
    resolution: float
    max: float
    min: float
    tiny: float
    smallest_normal: float

    def __init__(self, type: Any = None):
        dtype = real_dtype(type or _default)
        if not is_floating(dtype):
            raise TypeError(f"finfo: expected a floating dtype, got {dtype}; use iinfo")
        limits: Any
        if dtype.kind == "V":
            limits = ml_dtypes.finfo(dtype)
        else:
            limits = np.finfo(dtype)
        self.dtype, self.bits = str(dtype), int(limits.bits)
        self.eps, self.resolution = float(limits.eps), 10.0**-limits.precision
        self.max, self.min = float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny", "dtype")
        return f"finfo({', '.join(f'{name}={getattr(self, name)}' for name in names)})"


class iinfo:
    """The limits of an integer dtype (torch.iinfo).

    >>> iinfo(int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    dtype: str
    bits: int
    max: int
    min: int

    def __init__(self, type: Any):
        dtype = np.dtype(type)
        if category(dtype) != 1:
            raise TypeError(f"iinfo: expected an integer dtype, got {dtype}; use finfo")
        limits = np.iinfo(dtype)
        self.dtype, self.bits = str(dtype), limits.bits
        self.max, self.min = int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
