"""What functions of windows share: a number for each axis, inputs with and without a batch."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from dtrain.autograd import Tensor

Numbers = tuple[int, ...]
P = ParamSpec("P")
R = TypeVar("R")


def one_to_three(
    general: Callable[Concatenate[int, P], R],
) -> tuple[Callable[P, R], Callable[P, R], Callable[P, R]]:
    """PyTorch's functions of one, two and three axes, of one whose first argument is their number.

    `{n}` in its docstring stands for the number.
    """

    def of(axes: int) -> Callable[P, R]:
        @functools.wraps(general)
        def function(*args: P.args, **kwargs: P.kwargs) -> R:
            return general(axes, *args, **kwargs)

        name = f"{general.__name__.strip('_')}{axes}d"
        function.__name__ = function.__qualname__ = name
        function.__doc__ = (general.__doc__ or "").replace("{n}", str(axes))
        signature = inspect.signature(general)
        own = list(signature.parameters.values())[1:]
        function.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
        return function

    return of(1), of(2), of(3)


def per_axis(value: Any, axes: int, name: str) -> Numbers:
    """An int for each of the axes, given one for all or as many as there are."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(given) not in (1, axes):
        raise RuntimeError(f"{name}: expected an int or {axes}, got {value!r}")
    try:
        return tuple(map(operator.index, given * axes if len(given) == 1 else given))
    except TypeError:
        raise TypeError(f"{name}: expected an int or {axes}, got {value!r}") from None


def at_least(low: int, **options: Numbers) -> None:
    """Refuse options with numbers below `low`."""
    for name, numbers in options.items():
        if min(numbers) < low:
            raise RuntimeError(f"{name}: expected numbers of at least {low}, got {numbers}")


def batched(name: str, input: Tensor, axes: int) -> Tensor:
    """The input with a batch dimension, (n, c, ...), also where it has none."""
    if input.ndim == axes + 1:
        return input.unsqueeze(0)
    if input.ndim != axes + 2:
        raise RuntimeError(
            f"{name}: expected an input of {axes + 2} dimensions (n, c, ...), or of {axes + 1} "
            f"without a batch, got {input.shape}"
        )
    return input


def as_given(out: Tensor, input: Tensor) -> Tensor:
    """The output for a `batched` input, without a batch where the input has none."""
    return out if out.ndim == input.ndim else out.squeeze(0)
