"""PyTorch's signatures of the activations that are Tensor methods."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import DTypeLike
from dtrain.functions.autocast import autocasts
from dtrain.functions.elementwise import UnaryFunction, floating_unary, unary
from dtrain.functions.operands import (
    resolve_axis,
    to,
    to_floating,
)
from dtrain.primitives import activations as primitives, casts

tanh: UnaryFunction = floating_unary(primitives.tanh)


sigmoid: UnaryFunction = floating_unary(primitives.sigmoid)


relu: UnaryFunction = unary(primitives.relu)


@autocasts
def softmax(input: Tensor, dim: int, dtype: DTypeLike = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
    return _softmax(primitives.softmax, input, dim, dtype)


@autocasts
def log_softmax(input: Tensor, dim: int, dtype: DTypeLike = None) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
    return _softmax(primitives.log_softmax, input, dim, dtype)


def _softmax(operation: Callable, input: Tensor, dim: int, dtype: DTypeLike) -> Tensor:
    input = to_floating(input) if dtype is None else to(input, dtype)
    axis = resolve_axis(input, dim)
    return operation(input, axis=axis) if input.array.size else casts.clone(input)
