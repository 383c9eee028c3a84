"""PyTorch's signatures of the activations that are Tensor methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.functions.elementwise import smooth
from dtrain.functions.operands import (
    checked_axis,
    floating,
    to,
)
from dtrain.primitives import (
    activations,
    casts,
)

tanh = smooth(activations.tanh)


sigmoid = smooth(activations.sigmoid)


relu = activations.relu


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
    return _softmax(activations.softmax, input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
    return _softmax(activations.log_softmax, input, dim, dtype)


def _softmax(operation: Callable, input: Tensor, dim: int, dtype: Any) -> Tensor:
    input = floating(input) if dtype is None else to(input, dtype)
    axis = checked_axis(input, dim)
    return operation(input, axis=axis) if input.numel() else casts.clone(input)
