"""PyTorch's signatures of quotients, whole or not, what they leave, and rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import (
    category,
    is_floating,
)
from dtrain.functions.elementwise import TensorBinaryFunction, UnaryFunction, name_like, unary
from dtrain.functions.operands import (
    Number,
    promote_pair,
    require_tensors,
    scalar_like,
)
from dtrain.primitives import rounding as primitives


def _rounded(input: Tensor | Number, other: Tensor | Number, rounding_mode: str) -> Tensor:
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div: expected rounding_mode None, 'floor' or 'trunc', got {rounding_mode!r}"
        )
    x, y = _whole_pair("div", input, other)
    x, y = (
        x if isinstance(x, Tensor) else scalar_like(x, y),
        y if isinstance(y, Tensor) else scalar_like(y, x),
    )
    return (
        primitives.floor_divide(x, y) if rounding_mode == "floor" else primitives.trunc_divide(x, y)
    )


def _whole_pair(name: str, input: Tensor | Number, other: Tensor | Number) -> tuple[Any, Any]:
    """Both operands in their common dtype; an integer divisor on the host is refused if 0."""
    x, y = promote_pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    if tensor.dtype.kind == "b":
        raise NotImplementedError(f"{name}: expected numbers, got dtype bool")
    if not is_floating(tensor.dtype):
        divisor = y.array if isinstance(y, Tensor) else y
        if isinstance(divisor, (int, np.ndarray)) and not np.all(divisor):
            raise RuntimeError(f"{name}: ZeroDivisionError: an integer is divided by 0")
    return x, y


def floor_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """floor(input / other) (torch.floor_divide)."""
    return primitives.floor_divide(*_whole_pair("floor_divide", input, other))


def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """What floor division leaves, of the sign of `other` (torch.remainder)."""
    return primitives.remainder(*_whole_pair("remainder", input, other))


def fmod(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """What division towards zero leaves, of the sign of `input` (torch.fmod)."""
    return primitives.fmod(*_whole_pair("fmod", input, other))


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
    if decimals and not is_floating(input.dtype):
        raise NotImplementedError(f"round: decimals expect a floating dtype, got {input.dtype}")
    return primitives.round(input, decimals=decimals)


def frac(input: Tensor) -> Tensor:
    """input without its integer part (torch.frac)."""
    if not is_floating(input.dtype):
        raise NotImplementedError(f"frac: expected a floating dtype, got {input.dtype}")
    return primitives.frac(input)


sign: UnaryFunction = unary(primitives.sign)


ceil: UnaryFunction = unary(primitives.ceil, no_bools=True)


floor: UnaryFunction = unary(primitives.floor, no_bools=True)


trunc: UnaryFunction = unary(primitives.trunc, no_bools=True)


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number after `input` towards `other` (torch.nextafter)."""
    require_tensors("nextafter", input, other)
    x, y = promote_pair(input, other)
    if not is_floating(x.dtype):
        raise NotImplementedError(f"nextafter: expected a floating dtype, got {x.dtype}")
    return primitives.nextafter(x, y)


def _integer_binary(operation: Callable[..., Tensor]) -> TensorBinaryFunction:
    """A function of two tensors of integers."""

    def function(input: Tensor, other: Tensor) -> Tensor:
        require_tensors(operation.__name__, input, other)
        x, y = promote_pair(input, other)
        if category(x.dtype) != 1:
            raise NotImplementedError(f"{operation.__name__}: expected integers, got {x.dtype}")
        return operation(x, y)

    return name_like(function, operation)


gcd: TensorBinaryFunction = _integer_binary(primitives.gcd)


lcm: TensorBinaryFunction = _integer_binary(primitives.lcm)


class MantissaAndExponent(NamedTuple):
    """What `frexp` gives."""

    mantissa: Tensor
    exponent: Tensor


def frexp(input: Tensor) -> MantissaAndExponent:
    """input = mantissa * 2 ** exponent, with a mantissa of size 0.5 to 1 (torch.frexp)."""
    if not is_floating(input.dtype):
        raise RuntimeError(f"frexp: expected a floating dtype, got {input.dtype}")
    exponent = primitives.exponent(input)
    return MantissaAndExponent(primitives.mantissa(input, exponent=exponent.array), exponent)


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input is negative, 1 where positive, `values` where 0 (torch.heaviside).

    It has no gradient.
    """
    require_tensors("heaviside", input, values)
    if input.dtype != values.dtype:
        raise RuntimeError(
            f"heaviside: expected one dtype for both, got {input.dtype} and {values.dtype}"
        )
    return primitives.heaviside(input, values)
