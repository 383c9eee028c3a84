"""PyTorch's signatures of elementwise arithmetic, powers, exponentials, angles, choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import as_number, bool_, float64, is_floating
from dtrain.ops import activation, arithmetic, index, rounding, special, trigonometry
from dtrain.ops.operators.operands import Number, floating, pair, scalar_like, to


def binary(operation: Callable) -> Callable:
    """An operation on two operands in their common dtype."""

    def function(input: Any, other: Any) -> Tensor:
        return operation(*pair(input, other))

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def _floating_binary(operation: Callable) -> Callable:
    """An operation on two tensors in their common floating dtype."""

    def function(input: Any, other: Any) -> Tensor:
        x, y = pair(input, other)
        like = floating(x if isinstance(x, Tensor) else y)
        x, y = (floating(v) if isinstance(v, Tensor) else scalar_like(v, like) for v in (x, y))
        return operation(x, y)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def _unary(operation: Callable) -> Callable:
    def function(input: Any) -> Tensor:
        return operation(floating(input))

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


mul = binary(arithmetic.mul)
maximum, minimum = binary(arithmetic.maximum), binary(arithmetic.minimum)
reciprocal, sqrt = _unary(arithmetic.reciprocal), _unary(arithmetic.sqrt)
rsqrt = _unary(arithmetic.rsqrt)
exp, exp2, expm1 = _unary(arithmetic.exp), _unary(arithmetic.exp2), _unary(arithmetic.expm1)
log, log2 = _unary(arithmetic.log), _unary(arithmetic.log2)
log10, log1p = _unary(arithmetic.log10), _unary(arithmetic.log1p)
logaddexp = _floating_binary(arithmetic.logaddexp)
logaddexp2 = _floating_binary(arithmetic.logaddexp2)
xlogy, copysign = _floating_binary(arithmetic.xlogy), _floating_binary(arithmetic.copysign)
sin, cos, tan = _unary(trigonometry.sin), _unary(trigonometry.cos), _unary(trigonometry.tan)
asin, acos, atan = _unary(trigonometry.asin), _unary(trigonometry.acos), _unary(trigonometry.atan)
sinh, cosh = _unary(trigonometry.sinh), _unary(trigonometry.cosh)
asinh, acosh = _unary(trigonometry.asinh), _unary(trigonometry.acosh)
atanh, sinc = _unary(trigonometry.atanh), _unary(trigonometry.sinc)
deg2rad, rad2deg = _unary(trigonometry.deg2rad), _unary(trigonometry.rad2deg)
atan2, hypot = _floating_binary(trigonometry.atan2), _floating_binary(trigonometry.hypot)
tanh, sigmoid, relu = _unary(activation.tanh), _unary(activation.sigmoid), activation.relu
erf, erfc, erfinv = _unary(special.erf), _unary(special.erfc), _unary(special.erfinv)


def add(input: Any, other: Any, alpha: Number = 1) -> Tensor:
    """input + alpha * other (torch.add)."""
    return arithmetic.add(*pair(input, other if alpha == 1 else mul(other, alpha)))


def sub(input: Any, other: Any, alpha: Number = 1) -> Tensor:
    """input - alpha * other (torch.sub)."""
    return arithmetic.sub(*pair(input, other if alpha == 1 else mul(other, alpha)))


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent (torch.pow)."""
    x, y = pair(input, exponent)
    if isinstance(y, int) and y < 0 and not is_floating(x.dtype):
        raise RuntimeError("pow: integers to negative integer powers are not allowed")
    return arithmetic.pow(x, y)


def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent in float64 (torch.float_power)."""
    x, y = (to(v, float64) if isinstance(v, Tensor) else v for v in (input, exponent))
    return pow(x, y)


def square(input: Tensor) -> Tensor:
    """input * input (torch.square)."""
    return arithmetic.square(to(input, "int64") if input.dtype == "bool" else input)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other (torch.ldexp)."""
    return mul(input, pow(2.0, other))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
    return arithmetic.logit(floating(input), eps=eps)


def positive(input: Tensor) -> Tensor:
    """The tensor itself (torch.positive)."""
    if input.dtype == "bool":
        raise RuntimeError("positive: expected numbers, got a tensor of dtype bool")
    return input


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input is negative, 1 where positive, `values` where 0 (torch.heaviside).

    It has no gradient.
    """
    if input.dtype != values.dtype:
        raise RuntimeError(
            f"heaviside: expected one dtype for both, got {input.dtype} and {values.dtype}"
        )
    return rounding.heaviside(input, values)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input) (torch.lerp)."""
    dtypes = [v.dtype for v in (input, end, weight) if isinstance(v, Tensor)]
    if len(set(dtypes)) > 1:
        raise RuntimeError(f"lerp: expected one dtype for all, got {[str(d) for d in dtypes]}")
    if not is_floating(input.dtype):
        raise NotImplementedError(f"lerp: expected a floating dtype, got {input.dtype}")
    return add(input, mul(sub(end, input), weight))


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, value: Number = 1) -> Tensor:
    """input + value * tensor1 * tensor2 (torch.addcmul)."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2 (torch.addcdiv)."""
    if not is_floating(tensor1.dtype) and not is_floating(tensor2.dtype):
        raise RuntimeError(
            f"addcdiv: expected a floating dtype, got {tensor1.dtype} and {tensor2.dtype}; "
            "convert one with .float()"
        )
    return add(input, arithmetic.div(*pair(mul(tensor1, value), tensor2)))


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """`input` where the condition holds, else `other` (torch.where)."""
    x, y = pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    x, y = (v if isinstance(v, Tensor) else scalar_like(v, tensor) for v in (x, y))
    return index.where(x, y, condition=condition._array)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds, else `input` (torch.masked_fill)."""
    if mask.dtype != bool_:
        raise RuntimeError(f"masked_fill: expected a mask of dtype bool, got {mask.dtype}")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"masked_fill: expected a 0-d tensor or a number, got {value.shape}")
        return index.where(to(value, input.dtype), input, condition=mask._array)
    return index.masked_fill(input, mask=mask._array, value=as_number(value, input.dtype))
