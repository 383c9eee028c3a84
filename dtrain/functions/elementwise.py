"""PyTorch's signatures of elementwise arithmetic, powers, exponentials, angles, choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import (
    as_number,
    bool_,
    category,
    float64,
    int64,
    is_floating,
    promote,
    scalar_dtype,
)
from dtrain.functions.creation import as_tensor
from dtrain.functions.operands import (
    Number,
    floating,
    in_one_dtype,
    pair,
    require_tensors,
    result_dtype,
    scalar_like,
    to,
)
from dtrain.primitives import (
    activations,
    arithmetic,
    casts,
    exponentials,
    indexing,
    limits,
    rounding,
    special,
    trigonometry,
)


def binary(operation: Callable) -> Callable:
    """An operation on two operands in their common dtype."""

    def function(input: Any, other: Any) -> Tensor:
        x, y = pair(input, other)
        return operation(x, y)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def floating_pair(operation: Callable) -> Callable:
    """An operation on two operands in their common floating dtype."""

    def function(input: Any, other: Any) -> Tensor:
        x, y = pair(input, other)
        like = floating(x if isinstance(x, Tensor) else y)
        x, y = (floating(v) if isinstance(v, Tensor) else scalar_like(v, like) for v in (x, y))
        return operation(x, y)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def of_tensors(function: Callable) -> Callable:
    """A function of two operands that takes no numbers, as PyTorch has it."""

    @functools.wraps(function)
    def checked(input: Tensor, other: Tensor) -> Tensor:
        require_tensors(function.__name__, input, other)
        return function(input, other)

    return checked


def unary(operation: Callable, no_bools: bool = False) -> Callable:
    """An operation on one tensor, in its own dtype."""

    def function(input: Tensor) -> Tensor:
        if no_bools and input.dtype == "bool":
            raise NotImplementedError(f"{operation.__name__}: expected numbers, got dtype bool")
        return operation(input)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def smooth(operation: Callable) -> Callable:
    """An operation on one tensor, in the default dtype if it has integers or bools."""

    def function(input: Any) -> Tensor:
        return operation(floating(input))

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


mul = binary(arithmetic.mul)
abs = unary(arithmetic.abs, no_bools=True)
sign = unary(rounding.sign)
sgn = unary(rounding.sign)
ceil = unary(rounding.ceil, no_bools=True)
floor = unary(rounding.floor, no_bools=True)
trunc = unary(rounding.trunc, no_bools=True)
maximum = of_tensors(binary(limits.maximum))
minimum = of_tensors(binary(limits.minimum))
fmax = of_tensors(binary(limits.fmax))
fmin = of_tensors(binary(limits.fmin))
reciprocal = smooth(arithmetic.reciprocal)
sqrt = smooth(arithmetic.sqrt)
rsqrt = smooth(arithmetic.rsqrt)
exp = smooth(exponentials.exp)
exp2 = smooth(exponentials.exp2)
expm1 = smooth(exponentials.expm1)
log = smooth(exponentials.log)
log2 = smooth(exponentials.log2)
log10 = smooth(exponentials.log10)
log1p = smooth(exponentials.log1p)
logaddexp = of_tensors(floating_pair(exponentials.logaddexp))
logaddexp2 = of_tensors(floating_pair(exponentials.logaddexp2))
xlogy = floating_pair(exponentials.xlogy)
copysign = floating_pair(arithmetic.copysign)
sin = smooth(trigonometry.sin)
cos = smooth(trigonometry.cos)
tan = smooth(trigonometry.tan)
asin = smooth(trigonometry.asin)
acos = smooth(trigonometry.acos)
atan = smooth(trigonometry.atan)
sinh = smooth(trigonometry.sinh)
cosh = smooth(trigonometry.cosh)
asinh = smooth(trigonometry.asinh)
acosh = smooth(trigonometry.acosh)
atanh = smooth(trigonometry.atanh)
sinc = smooth(trigonometry.sinc)
deg2rad = smooth(trigonometry.deg2rad)
rad2deg = smooth(trigonometry.rad2deg)
atan2 = of_tensors(floating_pair(trigonometry.atan2))
hypot = of_tensors(floating_pair(trigonometry.hypot))
tanh = smooth(activations.tanh)
sigmoid = smooth(activations.sigmoid)
relu = activations.relu
erf = smooth(special.erf)
erfc = smooth(special.erfc)
erfinv = smooth(special.erfinv)


def _scaled(name: str, input: Any, other: Any, alpha: Number) -> Any:
    """alpha * other; a fraction, or a number for truth values, would change their dtype."""
    if alpha == 1:
        return other
    kinds = [category(v.dtype) for v in (input, other) if isinstance(v, Tensor)]
    if isinstance(alpha, float) and max(kinds, default=2) < 2:
        raise RuntimeError(f"{name}: expected a whole alpha for integers, got {alpha}")
    if isinstance(other, Tensor) and other.dtype == "bool":
        return (
            other
            if max(kinds) == 0 and alpha
            else mul(to(other, result_dtype(input, other)), alpha)
        )
    return mul(other, alpha)


def add(input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other (torch.add)."""
    return arithmetic.add(*pair(input, _scaled("add", input, other, alpha)))


def sub(input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other (torch.sub)."""
    x, y = pair(input, _scaled("sub", input, other, alpha))
    if _has_bools(input) or _has_bools(other):
        raise RuntimeError(
            "sub: bools cannot be subtracted; use ^ or logical_xor(), or ~ to invert a mask"
        )
    return arithmetic.sub(x, y)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy of the tensor (torch.clone)."""
    return casts.clone(input)


def rsub(input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    """other - alpha * input (torch.rsub)."""
    return sub(other, input, alpha=alpha)


def _has_bools(x: Any) -> bool:
    return (x.dtype == "bool") if isinstance(x, Tensor) else isinstance(x, bool)


def neg(input: Tensor) -> Tensor:
    """-input (torch.neg)."""
    if input.dtype == "bool":
        raise RuntimeError("neg: bools cannot be negated; use ~ or logical_not() to invert a mask")
    return arithmetic.neg(input)


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent (torch.pow)."""
    x, y = pair(input, exponent)
    if isinstance(exponent, int) and exponent < 0 and not is_floating(x.dtype):
        raise RuntimeError("pow: integers to negative integer powers are not allowed")
    return arithmetic.pow(x, y)


def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent in float64 (torch.float_power)."""
    x, y = (to(v, float64) if isinstance(v, Tensor) else v for v in (input, exponent))
    return pow(x, y)


def square(input: Tensor) -> Tensor:
    """input * input (torch.square)."""
    return arithmetic.square(to(input, int64) if input.dtype == "bool" else input)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other (torch.ldexp)."""
    require_tensors("ldexp", input, other)
    return mul(input, pow(2.0, other))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
    return exponentials.logit(floating(input), eps=eps)


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number after `input` towards `other` (torch.nextafter)."""
    require_tensors("nextafter", input, other)
    x, y = pair(input, other)
    if not is_floating(x.dtype):
        raise NotImplementedError(f"nextafter: expected a floating dtype, got {x.dtype}")
    return rounding.nextafter(x, y)


def _of_integers(operation: Callable) -> Callable:
    def function(input: Tensor, other: Tensor) -> Tensor:
        require_tensors(operation.__name__, input, other)
        x, y = pair(input, other)
        if category(x.dtype) != 1:
            raise NotImplementedError(f"{operation.__name__}: expected integers, got {x.dtype}")
        return operation(x, y)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


gcd = _of_integers(rounding.gcd)
lcm = _of_integers(rounding.lcm)


class MantissaAndExponent(NamedTuple):
    """What `frexp` gives."""

    mantissa: Tensor
    exponent: Tensor


def frexp(input: Tensor) -> MantissaAndExponent:
    """input = mantissa * 2 ** exponent, with a mantissa of size 0.5 to 1 (torch.frexp)."""
    if not is_floating(input.dtype):
        raise RuntimeError(f"frexp: expected a floating dtype, got {input.dtype}")
    exponent = rounding.exponent(input)
    return MantissaAndExponent(rounding.mantissa(input, exponent=exponent.array), exponent)


def positive(input: Tensor) -> Tensor:
    """The tensor itself (torch.positive)."""
    if input.dtype == "bool":
        raise RuntimeError("positive: expected numbers, got a tensor of dtype bool")
    return input


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input is negative, 1 where positive, `values` where 0 (torch.heaviside).

    It has no gradient.
    """
    require_tensors("heaviside", input, values)
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


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 * tensor2 (torch.addcmul)."""
    input, tensor1, tensor2 = in_one_dtype(input, tensor1, tensor2)
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2 (torch.addcdiv)."""
    if not is_floating(tensor1.dtype) and not is_floating(tensor2.dtype):
        raise RuntimeError(
            f"addcdiv: expected a floating dtype, got {tensor1.dtype} and {tensor2.dtype}; "
            "convert one with .float()"
        )
    input, tensor1, tensor2 = in_one_dtype(input, tensor1, tensor2)
    return add(input, arithmetic.div(*pair(mul(tensor1, value), tensor2)))


def _select(condition: Tensor, input: Any, other: Any) -> Tensor:
    """`input` where the condition holds, else `other`, in their common dtype."""
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = promote(scalar_dtype(input), scalar_dtype(other))
        input = as_tensor(input, dtype, condition.device)
    x, y = pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    x, y = (v if isinstance(v, Tensor) else scalar_like(v, tensor) for v in (x, y))
    return indexing.where(x, y, condition=condition.array)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds, else `input` (torch.masked_fill)."""
    if mask.dtype != bool_:
        raise RuntimeError(f"masked_fill: expected a mask of dtype bool, got {mask.dtype}")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"masked_fill: expected a 0-d tensor or a number, got {value.shape}")
        return indexing.where(to(value, input.dtype), input, condition=mask.array)
    return indexing.masked_fill(input, mask=mask.array, value=as_number(value, input.dtype))
