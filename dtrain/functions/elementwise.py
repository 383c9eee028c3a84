"""PyTorch's signatures of elementwise arithmetic, powers, exponentials, angles, choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.functions.operands import (
    floating,
    pair,
    require_tensors,
    scalar_like,
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
