"""PyTorch's signatures of the reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.ops import activation, arithmetic, index, reduce, rounding
from dtrain.ops.operators.elementwise import maximum, minimum, sub
from dtrain.ops.operators.operands import checked_axis, floating, to
from dtrain.ops.operators.shapes import squeeze


def require_floating(name: str, input: Tensor) -> None:
    """Refuse integers and bools."""
    if not is_floating(input.dtype):
        raise RuntimeError(
            f"{name}: expected a floating dtype, got {input.dtype}; convert it with .float()"
        )


def _reduction(operation: Callable, floats_only: bool = False) -> Callable:
    def function(
        input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None
    ) -> Tensor:
        if dtype is not None:
            input = to(input, dtype)
        if floats_only:
            require_floating(operation.__name__, input)
        return operation(input, axis=checked_axis(input, dim), keepdims=keepdim)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


sum, mean, amax, amin, prod = (
    _reduction(reduce.sum),
    _reduction(reduce.mean, floats_only=True),
    _reduction(reduce.amax),
    _reduction(reduce.amin),
    _reduction(reduce.prod),
)
all, any = _reduction(reduce.all), _reduction(reduce.any)


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
    return reduce.logsumexp(floating(input), axis=checked_axis(input, dim), keepdims=keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first maximum is (torch.argmax)."""
    return reduce.argmax(input, axis=checked_axis(input, dim), keepdims=keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first minimum is (torch.argmin)."""
    return reduce.argmin(input, axis=checked_axis(input, dim), keepdims=keepdim)


class ValuesAndIndices(NamedTuple):
    """What `max`, `sort`, `median`, `cummax` and their like give along a dimension."""

    values: Tensor
    indices: Tensor


def _extreme(input: Tensor, dim: Any, keepdim: bool, pick: Callable, all_of: Callable) -> Any:
    if dim is None:
        return all_of(input)
    indices = pick(input, dim, keepdim=True)
    values = index.gather(input, axis=dim % (input.ndim or 1), index=indices._array)
    if not keepdim:
        values, indices = squeeze(values, dim), squeeze(indices, dim)
    return ValuesAndIndices(values, indices)


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The maximum; with `dim` (values, indices); of two tensors `maximum` (torch.max)."""
    dim = dim if other is None else other
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return _extreme(input, dim, keepdim, argmax, amax)


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The minimum; with `dim` (values, indices); of two tensors `minimum` (torch.min)."""
    dim = dim if other is None else other
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    return _extreme(input, dim, keepdim, argmin, amin)


class MinAndMax(NamedTuple):
    """What `aminmax` gives."""

    min: Tensor
    max: Tensor


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """(minimum, maximum) of all, or along `dim` (torch.aminmax)."""
    if not input.numel() and (dim is None or not input.size(dim)):
        raise RuntimeError(f"aminmax: expected elements, got a tensor of shape {input.shape}")
    return MinAndMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """(sum |x|^p)^(1/p), for (-)infinity the largest (smallest) |x|, for 0 the nonzero's number.

    "fro" is 2 (torch.norm).
    """
    input = input if dtype is None else to(input, dtype)
    require_floating("norm", input)
    p = 2 if p is None or p == "fro" else p
    if not isinstance(p, (int, float)):
        raise RuntimeError(f"norm: expected a number or 'fro' for p, got {p!r}")
    if p == 2:
        return arithmetic.root(sum(input * input, dim, keepdim))
    size = arithmetic.abs(input)
    if p == 0:
        return sum(rounding.sign(size), dim, keepdim)
    if p == 1:
        return sum(size, dim, keepdim)
    if math.isinf(p):
        return (amax if p > 0 else amin)(size, dim, keepdim)
    return reduce.norm(input, p=p, axis=checked_axis(input, dim), keepdims=keepdim)


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference (torch.dist)."""
    return norm(sub(input, other), p)


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
    return activation.softmax(floating(input), axis=checked_axis(input, dim))


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
    return activation.log_softmax(floating(input), axis=checked_axis(input, dim))
