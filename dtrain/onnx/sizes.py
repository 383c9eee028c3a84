"""Sizes that depend on dynamic axes: recordings at several sizes, joined to one graph.

A function with dynamic axes is recorded three times, with other sizes. Where the recordings differ
in a number, that is a `Dim`: it is computed from the shapes of the graph's values when it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.onnx.proto import Unsupported


@dataclass(frozen=True)
class Dim:
    """A number that depends on dynamic axes: what it was in each recording.

    It is no int, so that code that needs a number fails instead of taking that of one recording.
    """

    values: tuple[int, ...]

    def __bool__(self) -> bool:
        raise Unsupported("it depends on whether a dynamic size is 0")

    def affine_to(self, other: Dim) -> tuple[int, int] | None:
        """(factor, offset) such that `other` is factor * self + offset; None if there are none."""
        (a, b, *_), (c, d, *_) = self.values, other.values
        if a == b or (d - c) % (b - a):
            return None
        factor = (d - c) // (b - a)
        offset = c - factor * a
        same = all(factor * x + offset == y for x, y in zip(self.values, other.values))
        return (factor, offset) if same else None


@dataclass(frozen=True)
class Repeated:
    """A tuple of `count` times the same item, where the count is dynamic."""

    item: Any
    count: Dim


def unify_numbers(values: list[Any]) -> Any:
    """One number for those of all recordings: a Dim if they differ."""
    first = values[0]
    if all(type(v) is type(first) and (v == first or v != v) for v in values):
        return first
    if all(type(v) is int for v in values):
        return Dim(tuple(values))
    raise Unsupported(
        f"the value {values[0]!r} becomes {values[1]!r} when dynamic axes have other sizes"
    )


def unify_shapes(shapes: list[tuple[int, ...]]) -> tuple[Any, ...]:
    """One shape for those of all recordings, with Dims where they differ."""
    if len({len(shape) for shape in shapes}) > 1:
        raise Unsupported("a value's number of dimensions depends on the sizes of dynamic axes")
    return tuple(unify_numbers([int(n) for n in sizes]) for sizes in zip(*shapes))


@dataclass(frozen=True)
class Pattern:
    """An array whose shape is dynamic, as a formula of the indices.

    kind : "full" (`low` everywhere), "ramp" (`low` + `step` * index along the last axis), or
        "band" (`high` where column - row > `offset` in the last two axes, `low` elsewhere)
    """

    kind: str
    shape: tuple[Any, ...]
    dtype: np.dtype
    low: Any
    high: Any = None
    step: Any = None
    offset: Any = None


def find_pattern(arrays: list[np.ndarray]) -> Pattern | None:
    """The formula of arrays of several sizes, checked for all elements; None if there is none."""
    shape = unify_shapes([a.shape for a in arrays])
    found = [_describe(array) for array in arrays]
    for described in zip(*found):
        if all(item is not None for item in described):
            kind, *formula = described[0]
            if all(_same(item[1:], formula) for item in described):
                return Pattern(kind, shape, arrays[0].dtype, *formula)
    return None


def _same(a: Any, b: Any) -> bool:
    return all(x is y or x == y or (x != x and y != y) for x, y in zip(a, b))


def _describe(array: np.ndarray) -> list[tuple[Any, ...] | None]:
    """(kind, low, high, step, offset) of each kind of pattern; None where it does not fit."""
    return [_describe_full(array), _describe_ramp(array), _describe_band(array)]


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _describe_full(array: np.ndarray) -> tuple[Any, ...] | None:
    if not array.size:
        return None
    value = array.reshape(-1)[0]
    return ("full", value) if _equal(array, np.full_like(array, value)) else None


def _describe_ramp(array: np.ndarray) -> tuple[Any, ...] | None:
    if array.ndim < 1 or array.shape[-1] < 2 or array.dtype.kind not in "iuf":
        return None
    line = array.reshape(-1, array.shape[-1])[0]
    low, step = line[0], line[1] - line[0] if np.isfinite(line[:2]).all() else 0
    made = (low + step * np.arange(array.shape[-1], dtype=array.dtype)).astype(array.dtype)
    return ("ramp", low, None, step) if _equal(array, np.broadcast_to(made, array.shape)) else None


def _describe_band(array: np.ndarray) -> tuple[Any, ...] | None:
    if array.ndim < 2 or min(array.shape[-2:]) < 2:
        return None
    matrix = array.reshape(-1, *array.shape[-2:])[0]
    low, high = matrix[-1, 0], matrix[0, -1]
    rows, columns = (np.arange(n) for n in matrix.shape)
    distance = columns - rows[:, None]
    is_low = matrix == low if low == low else matrix != matrix
    if not is_low.any():
        return None
    offset = int(distance[is_low].max())
    made = np.broadcast_to(np.where(distance > offset, high, low), array.shape)
    return ("band", low, high, None, offset) if _equal(array, made) else None


def same_in_all(formula: Any, *sizes: Any) -> int:
    """The value of a formula of sizes, which must be the same in all recordings."""
    count = next((len(size.values) for size in sizes if isinstance(size, Dim)), 1)
    columns = [size.values if isinstance(size, Dim) else (size,) * count for size in sizes]
    found = {formula(*row) for row in zip(*columns)}
    if len(found) > 1:
        raise Unsupported("a padding depends on a dynamic size")
    return int(found.pop())
