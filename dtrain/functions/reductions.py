"""PyTorch's signatures of the reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, overload

from dtrain.autograd.tensor import Tensor
from dtrain.backend import array_module
from dtrain.backend.dtypes import DTypeLike, is_inexact
from dtrain.functions.arithmetic import sub
from dtrain.functions.autocast import autocasts
from dtrain.functions.elementwise import name_like
from dtrain.functions.half_precision import in_float32
from dtrain.functions.limits import maximum, minimum
from dtrain.functions.operands import Dims, normalize_dim, resolve_axis, to, to_axis, to_floating
from dtrain.functions.shapes import movedim, squeeze, unsqueeze
from dtrain.primitives import (
    arithmetic,
    complex_numbers,
    exponentials,
    indexing,
    linalg,
    reductions as primitives,
    rounding,
)


def require_floating(name: str, input: Tensor) -> None:
    """Refuse integers and bools."""
    if not is_inexact(input.dtype):
        raise RuntimeError(
            f"{name}: expected a floating dtype, got {input.dtype}; convert it with .float()"
        )


def _reduction_with_dtype(operation: Callable, floats_only: bool = False) -> Callable:
    """A reduction that can have a dtype of its own."""

    def function(
        input: Tensor,
        dim: Dims | None = None,
        keepdim: bool = False,
        *,
        dtype: DTypeLike = None,
    ) -> Tensor:
        if dtype is not None:
            input = to(input, dtype)
        if floats_only:
            require_floating(operation.__name__, input)
        out = operation(input, axis=resolve_axis(input, dim), keepdims=keepdim)
        return out if dtype is None else to(out, dtype)

    return name_like(function, operation)


def require_elements(name: str, input: Tensor, dim: Any) -> None:
    """Refuse to choose among no elements, by PyTorch's kinds of errors."""
    if input.numel():
        return
    dims = to_axis(dim)
    if dims is None or dims == ():
        raise RuntimeError(f"{name}: expected elements, got a tensor of shape {input.shape}")
    for d in dims if isinstance(dims, tuple) else (dims,):
        if not input.shape[normalize_dim(d, input.ndim)]:
            raise IndexError(f"{name}: expected elements along dim {d}, got shape {input.shape}")


def _extreme_reduction(operation: Callable) -> Callable:
    def function(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
        require_elements(operation.__name__, input, dim)
        return operation(input, axis=resolve_axis(input, dim), keepdims=keepdim)

    return name_like(function, operation)


def _truth_reduction(operation: Callable) -> Callable:
    def function(input: Tensor, dim: Dims | None = None, keepdim: bool = False) -> Tensor:
        out = operation(input, axis=resolve_axis(input, dim), keepdims=keepdim)
        return to(out, input.dtype) if input.dtype == "uint8" else out  # older than PyTorch's bool

    return name_like(function, operation)


sum, prod = _reduction_with_dtype(primitives.sum), _reduction_with_dtype(primitives.prod)
mean = _reduction_with_dtype(primitives.mean, floats_only=True)
amax, amin = _extreme_reduction(primitives.amax), _extreme_reduction(primitives.amin)
all, any = _truth_reduction(primitives.all), _truth_reduction(primitives.any)


@autocasts
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
    if not input.numel():
        return exponentials.log(sum(to_floating(input), dim, keepdim))
    return primitives.logsumexp(to_floating(input), axis=resolve_axis(input, dim), keepdims=keepdim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first maximum (torch.argmax)."""
    require_elements("argmax", input, dim)
    return primitives.argmax(input, axis=resolve_axis(input, dim), keepdims=keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first minimum (torch.argmin)."""
    require_elements("argmin", input, dim)
    return primitives.argmin(input, axis=resolve_axis(input, dim), keepdims=keepdim)


class ValuesAndIndices(NamedTuple):
    """The result of `max`, `sort`, `median`, `cummax` and their like along a dimension."""

    values: Tensor
    indices: Tensor


def _extreme(
    input: Tensor, dim: Any, keepdim: bool, pick: Callable, reduction: Callable[..., Tensor]
) -> Any:
    if dim is None:
        require_elements(pick.__name__.replace("arg", ""), input, ())
        return reduction(input, equal_nan=True)
    indices = pick(input, dim, keepdim=True)
    values = indexing.gather(input, axis=dim % (input.ndim or 1), index=indices.array)
    if not keepdim:
        values, indices = squeeze(values, dim), squeeze(indices, dim)
    return ValuesAndIndices(values, indices)


@overload
def max(input: Tensor) -> Tensor: ...


@overload
def max(input: Tensor, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...


@overload
def max(input: Tensor, other: Tensor, /) -> Tensor: ...


def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The maximum; with `dim` (values, indices); of two tensors `maximum` (torch.max)."""
    dim = dim if other is None else other
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return _extreme(input, dim, keepdim, argmax, primitives.amax)


@overload
def min(input: Tensor) -> Tensor: ...


@overload
def min(input: Tensor, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...


@overload
def min(input: Tensor, other: Tensor, /) -> Tensor: ...


def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The minimum; with `dim` (values, indices); of two tensors `minimum` (torch.min)."""
    dim = dim if other is None else other
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    return _extreme(input, dim, keepdim, argmin, primitives.amin)


class MinAndMax(NamedTuple):
    """The result of `aminmax`."""

    min: Tensor
    max: Tensor


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """(minimum, maximum) of all, or along `dim` (torch.aminmax)."""
    require_elements("aminmax", input, dim)
    return MinAndMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims | None = None,
    keepdim: bool = False,
    dtype: DTypeLike = None,
) -> Tensor:
    """(sum |x|^p)^(1/p) of all elements or over `dim` (torch.norm).

    inf and -inf: the largest and the smallest |x|; 0: the number of nonzero elements; "fro": 2;
    "nuc", of matrices: the sum of the singular values.
    """
    input = input if dtype is None else to(input, dtype)
    require_floating("norm", input)
    if p == "nuc":
        return _nuclear_norm(input, dim, keepdim)
    p = 2 if p is None or p == "fro" else p
    if not isinstance(p, (int, float)):
        raise RuntimeError(f"norm: expected a number, 'fro' or 'nuc' for p, got {p!r}")
    return _vector_norm(input, p, dim, keepdim)


@in_float32
def _vector_norm(input: Tensor, p: float, dim: Dims | None, keepdim: bool) -> Tensor:
    if input.is_complex():
        input = complex_numbers.modulus(input)
    if p == 2:
        return arithmetic.safe_sqrt(sum(input * input, dim, keepdim))
    size = arithmetic.abs(input)
    if p == 0:  # NaN is not 0
        is_nan = array_module(size.array).isnan(size.array)
        nonzero = indexing.masked_fill(rounding.sign(size), mask=is_nan, value=1.0)
        return sum(nonzero, dim, keepdim)
    if p == 1:
        return sum(size, dim, keepdim)
    if math.isinf(p):
        name, extreme = ("amax", primitives.amax) if p > 0 else ("amin", primitives.amin)
        require_elements(name, input, dim)
        return extreme(size, axis=resolve_axis(input, dim), keepdims=keepdim, equal_nan=True)
    return primitives.norm(input, p=p, axis=resolve_axis(input, dim), keepdims=keepdim)


def _nuclear_norm(input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    dims = tuple(range(input.ndim)) if dim is None else to_axis(dim)
    if not isinstance(dims, tuple) or len(dims) != 2:
        raise RuntimeError(f"norm: 'nuc' expects two dimensions, got dim={dim}")
    values = linalg.svdvals(movedim(input, dims, (-2, -1)))
    out = sum(values, -1)
    for axis in sorted(normalize_dim(d, input.ndim) for d in dims) if keepdim else ():
        out = unsqueeze(out, axis)
    return out


@autocasts
@in_float32
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference (torch.dist)."""
    return norm(sub(input, other), p)
