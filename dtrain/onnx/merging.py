"""`Merger`: the values that a variable has after two branches as one value of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain.jit.graph import Ref, Step, rebuild
from dtrain.jit.lowering import RESULT
from dtrain.onnx.leaves import (
    Kind,
    Missing,
    common_kind,
    describe,
    is_same,
    kind_of,
    leaves_in,
    structure,
)
from dtrain.onnx.structure import StructureTracer, real_value


@dataclass
class Side:
    """What one branch gives.

    result : the value, or the tuple of values, that it returned
    copy : the same with what its lists and dicts held then
    contents : what each container from outside of the branch held
    refs : what stands for each leaf of these, by its id
    """

    step: Step = field(default_factory=Step)
    result: Any = None
    copy: Any = None
    contents: list[Any] = field(default_factory=list)
    refs: dict[int, Any] = field(default_factory=dict)
    error: Exception | None = None


@dataclass(frozen=True)
class _Filler:
    """Stands for a value that is never read."""

    kind: Kind


class Merger:
    """Makes one value of those of two branches.

    taken : the branch that the example inputs take
    place : the line of the branch, for messages
    """

    def __init__(self, tracer: StructureTracer, sides: Sequence[Side], taken: int, place: str):
        self._tracer, self._sides, self._taken, self._place = tracer, sides, taken, place
        #: what the branches give for each value that was made, and the value
        self.pairs: list[list[Any]] = []
        self.made: list[int] = []
        self._known: dict[Any, Any] = {}

    def merge(self, first: Any, second: Any, name: str) -> Any:
        """The values of both branches as one; Missing, with the reason, if there is none."""
        if name.startswith(RESULT):  # read where a flag says so
            first, second = _fill(first, second), _fill(second, first)
        if structure(first) != structure(second):
            return self._missing(name, first, second)
        seconds = iter(leaves_in(second))
        return rebuild(first, lambda leaf: self._leaf(leaf, next(seconds), name))

    def merge_items(self, first: Any, second: Any, name: str) -> Any:
        """What a list, dict or set holds after either branch."""
        if isinstance(first, set) or len(first) != len(second):
            return self._missing(f"in {name} a list", first, second).refuse()
        if isinstance(first, dict):
            if first.keys() != second.keys():
                return self._missing(f"in {name} a dict", first, second).refuse()
            return {k: x if x is second[k] else self.merge(x, second[k], name)
                    for k, x in first.items()}  # fmt: skip
        return [x if x is y else self.merge(x, y, name) for x, y in zip(first, second)]

    def _missing(self, name: str, first: Any, second: Any) -> Missing:
        for value in (first, second):
            if isinstance(value, Missing):
                return Missing(
                    f"{self._place}: `{name}` has a value in one branch alone: {value.reason_text}"
                )
        return Missing(
            f"{self._place}: `{name}` is {describe(first)} in one branch and {describe(second)} in "
            "the other; a file needs the same dtype and shape in both"
        )

    def _leaf(self, first: Any, second: Any, name: str) -> Any:
        values = (first, second)
        if not any(isinstance(x, _Filler) for x in values) and is_same(first, second):
            return first
        kinds = [x.kind if isinstance(x, _Filler) else kind_of(x) for x in values]
        kind = common_kind(kinds[0], kinds[1])
        if kind is None:
            return self._missing(name, first, second)
        pair = [
            _zeros(kind) if isinstance(x, _Filler) else side.refs[id(x)]
            for x, side in zip(values, self._sides)
        ]
        if isinstance(pair[0], Ref) and pair[0] == pair[1]:
            return first
        key = (kind, *(x if isinstance(x, Ref) else (x.dtype, x.tobytes()) for x in pair))
        if key not in self._known:
            value = values[self._taken]
            shown = _zeros(kind) if isinstance(value, _Filler) else real_value(value)
            index, self._known[key] = self._tracer.make_value(kind, shown)
            self.pairs.append(pair)
            self.made.append(index)
        return self._known[key]


def _fill(value: Any, other: Any) -> Any:
    """Something of the other's kinds in place of a variable that has no value."""
    if not isinstance(value, Missing) or isinstance(other, Missing):
        return value

    def leaf(item: Any) -> Any:
        kind = kind_of(item)
        return item if kind is None else _Filler(kind)

    return rebuild(other, leaf)


def _zeros(kind: Kind) -> np.ndarray:
    """Any value of a kind."""
    return np.zeros((1,) * len(kind.shape), kind.dtype or np.float32)
