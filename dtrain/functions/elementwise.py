"""Makes PyTorch's elementwise functions of primitives: dtype promotion, name and documentation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from dtrain.autograd.tensor import Tensor
from dtrain.functions.autocast import LISTED, autocasts
from dtrain.functions.operands import (
    Number,
    promote_pair,
    require_tensors,
    scalar_like,
    to_floating,
)

F = TypeVar("F", bound=Callable[..., Any])


class UnaryFunction(Protocol):
    """A function of one tensor."""

    def __call__(self, input: Tensor) -> Tensor: ...


class BinaryFunction(Protocol):
    """A function of two tensors, or of a tensor and a number."""

    def __call__(self, input: Tensor | Number, other: Tensor | Number) -> Tensor: ...


class TensorBinaryFunction(Protocol):
    """A function of two tensors."""

    def __call__(self, input: Tensor, other: Tensor) -> Tensor: ...


def name_like(function: F, primitive: Callable[..., Any], namespace: str = "torch") -> F:
    """Name and document a function like the primitive that it calls; returns the function.

    Its module is that of the primitive's family in `dtrain.functions`.
    """
    name, doc = primitive.__name__, primitive.__doc__ or ""
    summary, newline, rest = doc.partition("\n")
    function.__name__ = function.__qualname__ = name
    function.__module__ = primitive.__module__.replace(".primitives.", ".functions.")
    function.__doc__ = f"{summary.rstrip('.')} ({namespace}.{name}).{newline}{rest}"
    return autocasts(function) if name in LISTED else function


def unary(primitive: Callable[..., Tensor], no_bools: bool = False) -> UnaryFunction:
    """A function of one tensor, in its own dtype."""

    def function(input: Tensor) -> Tensor:
        if no_bools and input.dtype.kind == "b":
            raise NotImplementedError(f"{primitive.__name__}: expected numbers, got dtype bool")
        return primitive(input)

    return name_like(function, primitive)


def floating_unary(primitive: Callable[..., Tensor], namespace: str = "torch") -> UnaryFunction:
    """A function of one tensor; integers and bools are converted to the default dtype."""

    def function(input: Tensor) -> Tensor:
        return primitive(to_floating(input))

    return name_like(function, primitive, namespace)


def binary(primitive: Callable[..., Tensor]) -> BinaryFunction:
    """A function of two operands, in their common dtype."""

    def function(input: Tensor | Number, other: Tensor | Number) -> Tensor:
        x, y = promote_pair(input, other)
        return primitive(x, y)

    return name_like(function, primitive)


def floating_binary(primitive: Callable[..., Tensor], namespace: str = "torch") -> BinaryFunction:
    """A function of two operands, in their common floating dtype."""

    def function(input: Tensor | Number, other: Tensor | Number) -> Tensor:
        x, y = promote_pair(input, other)
        like = to_floating(x if isinstance(x, Tensor) else y)
        x, y = (to_floating(v) if isinstance(v, Tensor) else scalar_like(v, like) for v in (x, y))
        return primitive(x, y)

    return name_like(function, primitive, namespace)


def tensors_only(function: BinaryFunction) -> TensorBinaryFunction:
    """A function of two operands that refuses numbers, where PyTorch does."""
    name = function.__name__  # type: ignore[attr-defined]

    @functools.wraps(function, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def checked(input: Tensor, other: Tensor) -> Tensor:
        require_tensors(name, input, other)
        return function(input, other)

    del checked.__wrapped__  # whose signature takes numbers
    return checked
