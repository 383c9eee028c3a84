"""`Carried`: a variable that a recorded loop hands from each turn to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd.tensor import wrap
from dtrain.backend.tracing import suspended
from dtrain.jit.graph import rebuild
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


class Carried:
    """A variable of a loop's body: which of its leaves change, and what they are.

    Parameters
    ----------
    name, value : of the variable, and what it is before the loop
    place : the line of the loop, for messages
    """

    def __init__(self, name: str, value: Any, place: str):
        self._name, self._value, self._place = name, value, place
        self._leaves = leaves_in(value)
        #: of each leaf: what it is while the loop runs, or None if it stays as it is
        self._kinds: list[Kind | None] = [None] * len(self._leaves)
        self._begun: Any = None
        self._missing: Missing | None = None
        if isinstance(value, Missing):
            self._missing = self._no_value(value.reason_text)

    def _no_value(self, reason: str) -> Missing:
        if self._name.startswith(RESULT):
            return Missing(
                f"{self._place}: what a `return` gives within a loop whose number of turns depends "
                f"on a tensor or a dynamic size has no one shape and dtype: {reason}"
            )
        return Missing(
            f"{self._place}: `{self._name}` has no value after a loop whose number of turns "
            f"depends on a tensor or a dynamic size: {reason}"
        )

    def begin(self, tracer: StructureTracer, inputs: list[int]) -> Any:
        """What a turn begins with; appends the values that it is to `inputs`."""
        if self._missing is not None:
            return self._missing
        kinds = iter(self._kinds)

        def leaf(value: Any) -> Any:
            kind = next(kinds)
            if kind is None:
                return value
            index, made = tracer.make_value(kind, real_value(value))
            inputs.append(index)
            return made

        self._begun = rebuild(self._value, leaf)
        return self._begun

    def widen(self, new: Any) -> bool:
        """Take note of what a turn ends with; returns whether another turn is to be recorded."""
        if self._missing is not None:
            if not self._name.startswith(RESULT) or isinstance(new, Missing):
                return False
            # what is returned within the loop: before that it may be anything, as nobody reads it
            self._value, self._missing = rebuild(new, _unread), None
            self._leaves = leaves_in(self._value)
            self._kinds = [None] * len(self._leaves)
            return True
        if isinstance(new, Missing):
            self._missing = self._no_value(new.reason_text)
            return True
        if structure(new) != structure(self._value):
            self._missing = self._no_value(f"it becomes {describe(new)}")
            return True
        changed = False
        for i, (before, now) in enumerate(zip(self._leaves, leaves_in(new))):
            known = self._kinds[i]
            if known is None and is_same(before, now):
                continue
            kind = common_kind(known or kind_of(before), kind_of(now), promotes=True)
            if kind is None:
                was = describe(before) if known is None else str(known)
                self._missing = self._no_value(f"it is {was}, and becomes {describe(now)}")
                return True
            changed = changed or kind != known
            self._kinds[i] = kind
        return changed

    def _is_carried(self, index: int) -> bool:
        return self._missing is None and self._kinds[index] is not None

    def initial(self) -> list[Any]:
        """The leaves that are handed on, as they are before the loop."""
        return [leaf for i, leaf in enumerate(self._leaves) if self._is_carried(i)]

    def select(self, new: Any) -> list[Any]:
        """Those leaves of what a turn ends with."""
        if self._missing is not None or structure(new) != structure(self._value):
            return []
        return [leaf for i, leaf in enumerate(leaves_in(new)) if self._is_carried(i)]

    def after(self, tracer: StructureTracer, new: Any, outputs: list[int]) -> Any:
        """The variable after the loop; appends the values that it is to `outputs`."""
        if self._missing is not None:
            return self._missing
        kinds, last = iter(self._kinds), iter(leaves_in(new))

        def leaf(value: Any) -> Any:
            kind, shown = next(kinds), next(last)
            if kind is None:
                return value
            index, made = tracer.make_value(kind, real_value(shown))
            outputs.append(index)
            return made

        made = rebuild(self._value, leaf)
        if isinstance(self._value, list) and new is self._begun:  # its items were assigned
            self._value[:] = made
            return self._value
        return made


def _unread(value: Any) -> Any:
    """Any value of the kind of another one."""
    kind = kind_of(value)
    if kind is None:
        return value
    if not kind.is_number:
        with suspended():
            return wrap(np.zeros(kind.shape, kind.dtype))
    return 0.0 if kind.dtype is None else kind.dtype.type(0).item()
