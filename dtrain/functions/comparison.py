"""PyTorch's signatures of comparisons, truth values and bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import is_inexact
from dtrain.functions.elementwise import (
    BinaryFunction,
    TensorBinaryFunction,
    UnaryFunction,
    binary,
    name_like,
    tensors_only,
    unary,
)
from dtrain.functions.operands import (
    Number,
    keeps_dtype,
    promote_pair,
    require_tensors,
    scalar_like,
)
from dtrain.primitives import comparison as primitives, complex_numbers


class Comparison(Protocol):
    """A function of a tensor and a tensor or number."""

    def __call__(self, input: Tensor, other: Tensor | Number) -> Tensor: ...


def _compare(operation: Callable[..., Tensor]) -> Comparison:
    """A comparison, which converts a number to the dtype of the tensor."""

    def function(input: Tensor, other: Tensor | Number) -> Tensor:
        if not isinstance(other, Tensor) and keeps_dtype(input, other):
            return operation(input, scalar_like(other, input))
        return operation(*promote_pair(input, other, wrap_around=False))

    return name_like(function, operation)


eq: Comparison = _compare(primitives.eq)
ne: Comparison = _compare(primitives.ne)
lt: Comparison = _compare(primitives.lt)
le: Comparison = _compare(primitives.le)
gt: Comparison = _compare(primitives.gt)
ge: Comparison = _compare(primitives.ge)
logical_and: TensorBinaryFunction = tensors_only(binary(primitives.logical_and))
logical_or: TensorBinaryFunction = tensors_only(binary(primitives.logical_or))
logical_xor: TensorBinaryFunction = tensors_only(binary(primitives.logical_xor))
logical_not: UnaryFunction = unary(primitives.logical_not)
signbit: UnaryFunction = unary(primitives.signbit)
isfinite: UnaryFunction = unary(primitives.isfinite)
isinf: UnaryFunction = unary(primitives.isinf)
isnan: UnaryFunction = unary(primitives.isnan)


def _bitwise(operation: Callable[..., Tensor]) -> BinaryFunction:
    """An operation on the bits of integers, or on bools."""

    def function(input: Tensor | Number, other: Tensor | Number) -> Tensor:
        x, y = promote_pair(input, other)
        dtype = (x if isinstance(x, Tensor) else y).dtype
        if is_inexact(dtype):
            raise NotImplementedError(
                f"{operation.__name__}: expected integers or bools, got {dtype}"
            )
        return operation(x, y)

    return name_like(function, operation)


bitwise_and: BinaryFunction = _bitwise(primitives.bitwise_and)
bitwise_or: BinaryFunction = _bitwise(primitives.bitwise_or)
bitwise_xor: BinaryFunction = _bitwise(primitives.bitwise_xor)
bitwise_left_shift: BinaryFunction = _bitwise(primitives.bitwise_left_shift)
bitwise_right_shift: BinaryFunction = _bitwise(primitives.bitwise_right_shift)


def bitwise_not(input: Tensor) -> Tensor:
    """Each bit, or each bool, inverted (torch.bitwise_not)."""
    if is_inexact(input.dtype):
        raise NotImplementedError(f"bitwise_not: expected integers or bools, got {input.dtype}")
    return primitives.invert(input)


def isposinf(input: Tensor) -> Tensor:
    """Whether each is positive infinity (torch.isposinf)."""
    return eq(input, math.inf)


def isneginf(input: Tensor) -> Tensor:
    """Whether each is negative infinity (torch.isneginf)."""
    return eq(input, -math.inf)


def isreal(input: Tensor) -> Tensor:
    """Whether each has no imaginary part (torch.isreal)."""
    if input.is_complex():
        return eq(complex_numbers.imag(input), 0)
    return eq(input, input) | isnan(input)


def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other| (torch.isclose)."""
    require_tensors("isclose", input, other)
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: expected rtol and atol of at least 0, got {rtol}, {atol}")
    if input.dtype != other.dtype:
        raise RuntimeError(
            f"isclose: expected one dtype for both, got {input.dtype} and {other.dtype}"
        )
    return primitives.isclose(
        *promote_pair(input, other), rtol=rtol, atol=atol, equal_nan=equal_nan
    )


def allclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether all elements are close, as a bool (torch.allclose)."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and elements are the same, as a bool (torch.equal)."""
    require_tensors("equal", input, other)
    return input.shape == other.shape and bool(eq(input, other).array.all())
