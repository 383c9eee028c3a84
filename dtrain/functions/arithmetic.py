"""PyTorch's signatures of sums, products, quotients and powers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import (
    category,
    float64,
    int64,
    is_inexact,
    promote,
)
from dtrain.functions.autocast import autocasts
from dtrain.functions.elementwise import (
    BinaryFunction,
    UnaryFunction,
    binary,
    floating_binary,
    floating_unary,
    unary,
)
from dtrain.functions.half_precision import in_float32
from dtrain.functions.operands import (
    Number,
    promote_all,
    promote_pair,
    result_dtype,
    to,
    to_floating,
)
from dtrain.functions.rounding import _rounded
from dtrain.primitives import arithmetic as primitives, complex_numbers

mul: BinaryFunction = binary(primitives.mul)


_abs_of_real: UnaryFunction = unary(primitives.abs, no_bools=True)


def abs(input: Tensor) -> Tensor:
    """|input|; of complex numbers a real tensor (torch.abs)."""
    return complex_numbers.modulus(input) if input.is_complex() else _abs_of_real(input)


reciprocal: UnaryFunction = floating_unary(primitives.reciprocal)


sqrt: UnaryFunction = floating_unary(primitives.sqrt)


rsqrt: UnaryFunction = floating_unary(primitives.rsqrt)


copysign: BinaryFunction = floating_binary(primitives.copysign)


def _scaled(name: str, input: Tensor | Number, other: Tensor | Number, alpha: Number) -> Any:
    """alpha * other; a fraction, or a number for truth values, would change their dtype."""
    if alpha == 1:
        return other
    kinds = [category(v.dtype) for v in (input, other) if isinstance(v, Tensor)]
    if isinstance(alpha, (float, complex)) and max(kinds, default=2) < 2:
        raise RuntimeError(f"{name}: expected a whole alpha for integers, got {alpha}")
    if isinstance(other, Tensor) and other.dtype.kind == "b":
        return (
            other
            if max(kinds) == 0 and alpha
            else mul(to(other, result_dtype(input, other)), alpha)
        )
    return mul(other, alpha)


def add(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other (torch.add)."""
    if alpha != 1:
        return _add_scaled(input, other, alpha)
    x, y = promote_pair(input, other)
    return primitives.add(x, y)


@in_float32
def _add_scaled(input: Tensor | Number, other: Tensor | Number, alpha: Number) -> Tensor:
    return primitives.add(*promote_pair(input, _scaled("add", input, other, alpha)))


def sub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other (torch.sub)."""
    if alpha != 1:
        return _sub_scaled(input, other, alpha)
    x, y = promote_pair(input, other)
    if _has_bools(input) or _has_bools(other):
        raise RuntimeError(
            "sub: bools cannot be subtracted; use ^ or logical_xor(), or ~ to invert a mask"
        )
    return primitives.sub(x, y)


@in_float32
def _sub_scaled(input: Tensor | Number, other: Tensor | Number, alpha: Number) -> Tensor:
    return sub(input, _scaled("sub", input, other, alpha))


def rsub(input: Tensor | Number, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """other - alpha * input (torch.rsub)."""
    return sub(other, input, alpha=alpha)


def _has_bools(x: Any) -> bool:
    return (x.dtype.kind == "b") if isinstance(x, Tensor) else isinstance(x, bool)


def neg(input: Tensor) -> Tensor:
    """-input (torch.neg)."""
    if input.dtype.kind == "b":
        raise RuntimeError("neg: bools cannot be negated; use ~ or logical_not() to invert a mask")
    return primitives.neg(input)


@autocasts
def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input ** exponent (torch.pow)."""
    x, y = promote_pair(input, exponent)
    if isinstance(exponent, int) and exponent < 0 and not is_inexact(x.dtype):
        raise RuntimeError("pow: integers to negative integer powers are not allowed")
    return primitives.pow(x, y)


def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input ** exponent in float64, of complex numbers in complex128 (torch.float_power)."""
    x, y = (
        to(v, promote(v.dtype, float64)) if isinstance(v, Tensor) else v for v in (input, exponent)
    )
    return pow(x, y)


def square(input: Tensor) -> Tensor:
    """input * input (torch.square)."""
    return primitives.square(to(input, int64) if input.dtype.kind == "b" else input)


def positive(input: Tensor) -> Tensor:
    """The tensor itself (torch.positive)."""
    if input.dtype.kind == "b":
        raise RuntimeError("positive: expected numbers, got a tensor of dtype bool")
    return input


def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """input + weight * (end - input) (torch.lerp)."""
    dtypes = [v.dtype for v in (input, end, weight) if isinstance(v, Tensor)]
    if len(set(dtypes)) > 1:
        raise RuntimeError(f"lerp: expected one dtype for all, got {[str(d) for d in dtypes]}")
    if not is_inexact(input.dtype):
        raise NotImplementedError(f"lerp: expected a floating dtype, got {input.dtype}")
    return primitives.lerp(*promote_all(input, end, weight))


@autocasts
@in_float32
def addcmul(
    input: Tensor, tensor1: Tensor | Number, tensor2: Tensor | Number, *, value: Number = 1
) -> Tensor:
    """input + value * tensor1 * tensor2 (torch.addcmul)."""
    input, tensor1, tensor2 = promote_all(input, tensor1, tensor2)
    return add(input, mul(tensor1, tensor2), alpha=value)


@autocasts
@in_float32
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2 (torch.addcdiv)."""
    if not is_inexact(tensor1.dtype) and not is_inexact(tensor2.dtype):
        raise RuntimeError(
            f"addcdiv: expected a floating dtype, got {tensor1.dtype} and {tensor2.dtype}; "
            "convert one with .float()"
        )
    input, tensor1, tensor2 = promote_all(input, tensor1, tensor2)
    return add(input, primitives.div(*promote_pair(mul(tensor1, value), tensor2)))


def div(
    input: Tensor | Number, other: Tensor | Number, *, rounding_mode: str | None = None
) -> Tensor:
    """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div).

    Without rounding integers give the default dtype.
    """
    if rounding_mode is not None:
        return _rounded(input, other, rounding_mode)
    x, y = promote_pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    if not is_inexact(tensor.dtype):
        x, y = (to_floating(v) if isinstance(v, Tensor) else v for v in (x, y))
    return primitives.div(x, y)


def true_divide(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input / other (torch.true_divide)."""
    return div(input, other)
