"""Figures that are not one number: how they are shown on a line, and logged by their parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dtrain.autograd import Tensor

#: parts of a figure that one line shows
_MOST_SHOWN = 8


def as_number(value: Any) -> Any:
    """The number of a tensor, or an array, of one element; other values as they are."""
    if isinstance(value, (Tensor, np.generic, np.ndarray)) and math.prod(value.shape) == 1:
        return value.item()
    return value


def is_number(value: Any) -> bool:
    """Whether a figure is one number."""
    return isinstance(as_number(value), (int, float))


def split_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures, with the parts of dicts, lists and tuples by names of their own.

    >>> split_figures({"loss": 0.5, "f1": {"cat": 0.25, "dog": [1, 2]}})
    {'loss': 0.5, 'f1.cat': 0.25, 'f1.dog.0': 1, 'f1.dog.1': 2}
    """
    parts: dict[str, Any] = {}
    for name, value in figures.items():
        inner = _inner_figures(value)
        if not inner:
            parts[name] = as_number(value)
        else:
            parts |= split_figures({f"{name}.{key}": part for key, part in inner.items()})
    return parts


def _inner_figures(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if isinstance(value, Mapping):
        return value
    return dict(enumerate(value)) if isinstance(value, (list, tuple)) else None


def select_numbers(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures, and parts of figures, that are numbers."""
    return {name: value for name, value in split_figures(figures).items() if is_number(value)}


def format_figures(figures: Mapping[str, Any]) -> str:
    """The figures for a line; of those with many parts how many they are.

    >>> format_figures({"loss": 0.5, "best": (1, 2), "counts": np.ones((3, 4)), "name": "a"})
    ' loss 0.5000  best.0 1.0000  best.1 2.0000  counts (3, 4)  name a '
    """
    return "".join(f" {name} {_format_value(value)} " for name, value in _shown(figures).items())


def _shown(figures: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in figures.items():
        parts = split_figures({name: value})
        few = len(parts) <= _MOST_SHOWN
        shown |= parts if few else {name: f"({len(parts)} values)"}
    return shown


def _format_value(value: Any) -> str:
    if is_number(value):
        return f"{value:.4f}"
    shape = getattr(value, "shape", None)
    return str(value) if shape is None else str(tuple(shape))
