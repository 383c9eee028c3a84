"""PyTorch's signatures of the reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.ops import activation, arithmetic, index, reduce
from dtrain.ops.operators.elementwise import maximum, minimum, pow
from dtrain.ops.operators.operands import checked_axis, floating, to
from dtrain.ops.operators.shapes import narrow, squeeze


def _require_floating(name: str, input: Tensor) -> None:
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
            _require_floating(operation.__name__, input)
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


def var(
    input: Tensor, dim: Any = None, correction: float = 1, keepdim: bool = False, **unbiased: bool
) -> Tensor:
    """The variance, over count - correction (torch.var)."""
    if "unbiased" in unbiased:
        correction = int(unbiased.pop("unbiased"))
    if unbiased:
        raise TypeError(f"var: unexpected arguments {sorted(unbiased)}")
    _require_floating("var", input)
    return reduce.var(input, axis=checked_axis(input, dim), keepdims=keepdim, correction=correction)


def std(
    input: Tensor, dim: Any = None, correction: float = 1, keepdim: bool = False, **unbiased: bool
) -> Tensor:
    """The standard deviation, the root of `var` (torch.std)."""
    return arithmetic.root(var(input, dim, correction, keepdim, **unbiased))


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
    return reduce.logsumexp(floating(input), axis=checked_axis(input, dim), keepdims=keepdim)


def cumsum(input: Tensor, dim: int) -> Tensor:
    """Running sums along `dim` (torch.cumsum)."""
    return reduce.cumsum(input, axis=checked_axis(input, dim))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first maximum is (torch.argmax)."""
    return reduce.argmax(input, axis=checked_axis(input, dim), keepdims=keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first minimum is (torch.argmin)."""
    return reduce.argmin(input, axis=checked_axis(input, dim), keepdims=keepdim)


class ValuesAndIndices(NamedTuple):
    """What `max`, `min`, `sort` and `topk` give along a dimension."""

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


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The maximum; with `dim` (values, indices); of two tensors `maximum` (torch.max)."""
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return _extreme(input, dim, keepdim, argmax, amax)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The minimum; with `dim` (values, indices); of two tensors `minimum` (torch.min)."""
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    return _extreme(input, dim, keepdim, argmin, amin)


def norm(input: Tensor, p: float = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^p)^(1/p), for infinity the largest |x| (torch.norm)."""
    _require_floating("norm", input)
    if p == 2:
        return arithmetic.root(sum(input * input, dim, keepdim))
    size = arithmetic.abs(input)
    if p == math.inf:
        return amax(size, dim, keepdim)
    return pow(sum(pow(size, p), dim, keepdim), 1 / p)


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
    return activation.softmax(floating(input), axis=checked_axis(input, dim))


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
    return activation.log_softmax(floating(input), axis=checked_axis(input, dim))


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesAndIndices:
    """(sorted values, where they were) along `dim`; equal ones keep their order (torch.sort)."""
    order = index.sort(input, axis=dim, descending=descending)
    values = index.gather(input, axis=dim % (input.ndim or 1), index=order._array)
    return ValuesAndIndices(values, order)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True) -> ValuesAndIndices:
    """The k largest (or smallest) along `dim` in order, and where they were (torch.topk)."""
    if not 0 <= k <= input.size(dim):
        raise RuntimeError(f"topk: expected 0 <= k <= {input.size(dim)}, got {k}")
    values, order = sort(input, dim, descending=largest)
    return ValuesAndIndices(narrow(values, dim, 0, k), narrow(order, dim, 0, k))
