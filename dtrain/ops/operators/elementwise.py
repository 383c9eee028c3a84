"""PyTorch's signatures of the elementwise operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module
from dtrain.backend.dtypes import is_floating
from dtrain.ops import activation, arithmetic, index, special
from dtrain.ops.operators.operands import Number, floating, pair, result_dtype, to


def _binary(operation: Callable) -> Callable:
    def function(input: Any, other: Any) -> Tensor:
        return operation(*pair(input, other))

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def _unary(operation: Callable) -> Callable:
    def function(input: Any) -> Tensor:
        return operation(floating(input))

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


mul = _binary(arithmetic.mul)
maximum, minimum = _binary(arithmetic.maximum), _binary(arithmetic.minimum)
eq, ne = _binary(arithmetic.eq), _binary(arithmetic.ne)
lt, le = _binary(arithmetic.lt), _binary(arithmetic.le)
gt, ge = _binary(arithmetic.gt), _binary(arithmetic.ge)
logical_and, logical_or = _binary(arithmetic.logical_and), _binary(arithmetic.logical_or)
reciprocal, sqrt, rsqrt = (
    _unary(arithmetic.reciprocal),
    _unary(arithmetic.sqrt),
    _unary(arithmetic.rsqrt),
)
exp, expm1 = _unary(arithmetic.exp), _unary(arithmetic.expm1)
log, log2 = _unary(arithmetic.log), _unary(arithmetic.log2)
log10, log1p = _unary(arithmetic.log10), _unary(arithmetic.log1p)
sin, cos = _unary(arithmetic.sin), _unary(arithmetic.cos)
tanh, sigmoid, erf = _unary(activation.tanh), _unary(activation.sigmoid), _unary(special.erf)


def add(input: Any, other: Any, alpha: Number = 1) -> Tensor:
    """input + alpha * other (torch.add)."""
    return arithmetic.add(*pair(input, other if alpha == 1 else mul(other, alpha)))


def sub(input: Any, other: Any, alpha: Number = 1) -> Tensor:
    """input - alpha * other (torch.sub)."""
    return arithmetic.sub(*pair(input, other if alpha == 1 else mul(other, alpha)))


def div(input: Any, other: Any) -> Tensor:
    """input / other; integers give the default dtype (torch.div)."""
    x, y = pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    if not is_floating(tensor.dtype):
        x, y = (floating(v) if isinstance(v, Tensor) else v for v in (x, y))
    return arithmetic.div(x, y)


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent (torch.pow)."""
    x, y = pair(input, exponent)
    if isinstance(y, int) and y < 0 and not is_floating(x.dtype):
        raise RuntimeError("pow: integers to negative integer powers are not allowed")
    return arithmetic.pow(x, y)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        input = input if min is None else maximum(input, min)
        return input if max is None else minimum(input, max)
    for limit in (min, max):
        if limit is not None:
            input = to(input, result_dtype(input, limit))
    return arithmetic.clamp(input, min=min, max=max)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """`input` where the condition holds, else `other` (torch.where)."""
    x, y = pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    x, y = (v if isinstance(v, Tensor) else _scalar_like(v, tensor) for v in (x, y))
    return index.where(x, y, condition=condition._array)


def _scalar_like(value: Number, like: Tensor) -> Tensor:
    return wrap(array_module(like._array).asarray(value, like.dtype))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds, else `input` (torch.masked_fill)."""
    value = value.item() if isinstance(value, Tensor) else value
    return index.masked_fill(input, mask=mask._array, value=value)
