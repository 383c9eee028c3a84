"""PyTorch's signatures of elementwise arithmetic, powers, exponentials, angles, choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.functions.operands import (
    promote_pair,
    require_tensors,
    scalar_like,
    to_floating,
)


def binary(operation: Callable) -> Callable:
    """An operation on two operands in their common dtype."""

    def function(input: Any, other: Any) -> Tensor:
        x, y = promote_pair(input, other)
        return operation(x, y)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def floating_binary(operation: Callable) -> Callable:
    """An operation on two operands in their common floating dtype."""

    def function(input: Any, other: Any) -> Tensor:
        x, y = promote_pair(input, other)
        like = to_floating(x if isinstance(x, Tensor) else y)
        x, y = (to_floating(v) if isinstance(v, Tensor) else scalar_like(v, like) for v in (x, y))
        return operation(x, y)

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function


def tensors_only(function: Callable) -> Callable:
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


def floating_unary(operation: Callable) -> Callable:
    """An operation on one tensor, in the default dtype if it has integers or bools."""

    def function(input: Any) -> Tensor:
        return operation(to_floating(input))

    function.__name__ = operation.__name__
    function.__doc__ = operation.__doc__
    return function
