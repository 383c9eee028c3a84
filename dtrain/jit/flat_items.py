"""The items of a `FlatCode`: calls of array functions, and lines of text between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dtrain.jit.array_calls import ArrayCall

#: The kernels here return new arrays, in an order that arguments of the same shape decide.
_FAMILIES = (
    "activation", "attention", "channel_norm", "gru", "lstm", "masked_softmax", "norm",
    "product", "softmax", "window",
)  # fmt: skip
_KERNELS = tuple(f"dtrain.backend.kernels.cpu.{family}" for family in _FAMILIES)
_PRODUCT = "dtrain.backend.kernels.cpu.product", "matmul"


@dataclass
class Item:
    """A call, or some lines.

    uses, makes : the values that it takes, and those that it assigns
    shared : those that what it makes may share memory with
    label : the primitive that it is part of, for errors
    memory : the text of the memory, or None, into which the value that it yields may be written
    moves : "up", if the lines may come earlier, "down", if they may come later than they stand
    """

    uses: set[int]
    makes: list[int]
    call: ArrayCall | None = None
    lines: Sequence[str] = ()
    shared: set[int] = field(default_factory=set)
    label: str = ""
    memory: str | None = None
    moves: str = ""


def makes_arrays(call: ArrayCall) -> bool:
    """Whether a call returns new arrays, unless they share memory with its arguments."""
    module = getattr(call.function, "__module__", None) or ""
    return isinstance(call.function, np.ufunc) or module.startswith(_KERNELS)


def is_product(call: ArrayCall) -> bool:
    """Whether a call multiplies matrices."""
    name = getattr(call.function, "__module__", None), getattr(call.function, "__name__", None)
    return call.function is np.matmul or name == _PRODUCT


def find_root(roots: dict[int, int], value: int) -> int:
    """The value that stands for the memory of a value."""
    while roots.get(value, value) != value:
        value = roots[value]
    return value
