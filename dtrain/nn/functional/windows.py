"""What functions of windows share: a number for each axis, inputs with and without a batch."""

from __future__ import annotations

import operator
from typing import Any

from dtrain.autograd import Tensor


def per_axis(value: Any, axes: int, name: str) -> tuple[int, ...]:
    """An int for each of the axes, given one for all or as many as there are."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(given) not in (1, axes):
        raise RuntimeError(f"{name}: expected an int or {axes}, got {value!r}")
    try:
        return tuple(map(operator.index, given * axes if len(given) == 1 else given))
    except TypeError:
        raise TypeError(f"{name}: expected an int or {axes}, got {value!r}") from None


def at_least(low: int, **options: tuple[int, ...]) -> None:
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
