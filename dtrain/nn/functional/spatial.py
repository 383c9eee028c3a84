"""Shared by convolution, pooling and the like: options per axis, inputs without a batch."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from dtrain.autograd import Tensor

#: An option as users give it: one int for all axes, or one for each.
Ints = int | Sequence[int]
#: An option with one int for each axis.
Numbers = tuple[int, ...]
P = ParamSpec("P")
R = TypeVar("R")


def implemented_by(
    general: Callable[Concatenate[int, P], R], *, axes: int
) -> Callable[[Callable[[], None]], Callable[P, R]]:
    """Decorator: replace a function without a body by `general(axes, ...)`.

    The function has the name and docstring of the one decorated, and the other parameters of
    `general`: ``@implemented_by(_conv, axes=2) def conv2d(): ...`` makes
    ``conv2d(input, weight, ...)``, which returns ``_conv(2, input, weight, ...)``.
    """

    def bind(declaration: Callable[[], None]) -> Callable[P, R]:
        @functools.wraps(declaration)
        def function(*args: P.args, **kwargs: P.kwargs) -> R:
            return general(axes, *args, **kwargs)

        signature = inspect.signature(general)
        own = list(signature.parameters.values())[1:]
        function.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
        return function

    return bind


def per_axis(value: Any, axes: int, name: str) -> Numbers:
    """One int for each axis, from an option that is one int for all axes or one for each."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(given) not in (1, axes):
        raise RuntimeError(f"{name}: expected an int or {axes}, got {value!r}")
    try:
        return tuple(map(operator.index, given * axes if len(given) == 1 else given))
    except TypeError:
        raise TypeError(f"{name}: expected an int or {axes}, got {value!r}") from None


def at_least(low: int, **options: Numbers) -> None:
    """Refuse options that contain a number below `low`."""
    for name, numbers in options.items():
        if min(numbers) < low:
            raise RuntimeError(f"{name}: expected numbers of at least {low}, got {numbers}")


def batched(name: str, input: Tensor, axes: int) -> Tensor:
    """The input as (n, c, ...): with a batch dimension added if it is (c, ...)."""
    if input.ndim == axes + 1:
        return input.unsqueeze(0)
    if input.ndim != axes + 2:
        raise RuntimeError(
            f"{name}: expected an input of {axes + 2} dimensions (n, c, ...), or of {axes + 1} "
            f"without a batch, got {input.shape}"
        )
    return input


def like_input(out: Tensor, input: Tensor) -> Tensor:
    """The output of a `batched` input, without the batch dimension if the input has none."""
    return out if out.ndim == input.ndim else out.squeeze(0)
