"""`Loops`: what loops of a rewritten function do: run by Python, or become a call "loop" if a
tensor, or a dynamic size, says how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.jit.graph import Step
from dtrain.nn.module import Module
from dtrain.onnx.blocks import Block
from dtrain.onnx.branches import Branches, is_symbolic
from dtrain.onnx.carried import Carried
from dtrain.onnx.containers import same_items
from dtrain.onnx.leaves import Kind, kind_of
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.structure import StructureTracer
from dtrain.onnx.subscripts import get_item

#: The kinds of variables settle in a few turns: a number becomes a tensor, an int a float.
_ATTEMPTS = 8


@dataclass(frozen=True)
class SymbolicRange:
    """range() of tensors."""

    start: Any
    stop: Any
    step: int

    @classmethod
    def of(cls, given: Sequence[Any]) -> SymbolicRange:
        """Of the arguments of range()."""
        start, stop, step = (0, *given, 1) if len(given) == 1 else (*given, 1)[:3]
        if is_symbolic(step) or step == 0:
            raise Unsupported("the step of range() is a tensor, or 0")
        return cls(start, stop, int(step))

    def turns(self) -> Any:
        """How many numbers there are, as a tensor; below 0 for none."""
        sign = 1 if self.step > 0 else -1
        distance = (self.stop - self.start) * sign
        return (distance + (abs(self.step) - 1)) // abs(self.step)


class Loops(Branches):
    """Loops, beside branches.

    Parameters
    ----------
    kept_loops : the places of loops over ranges and tensors that are not unrolled
    """

    def __init__(
        self, tracer: StructureTracer, modules: Sequence[Module], kept_loops: set[str]
    ):  # fmt: skip
        super().__init__(tracer, modules)
        self._kept_loops = kept_loops
        #: (place, number of turns) of loops over ranges and tensors
        self.counts: list[tuple[str, int]] = []

    def repeat_while(
        self, test: Callable[..., Any], body: Callable[..., Any], names: tuple[str, ...],
        values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> tuple[Any, ...]:  # fmt: skip
        """``while test(*values)``: the variables `names` after it."""
        loop = _Loop(self, names, scope, place, body, test=test)
        while True:
            goes_on = test(*values)
            if is_symbolic(goes_on):
                return loop.record(values, first=self.condition(goes_on))
            if not goes_on:
                return values
            turn = loop.try_turn(values)
            if turn is None:
                return loop.record(values, first=np.asarray(True))
            keep, *rest = turn
            values = tuple(rest)
            if not keep:
                return values

    def repeat_for(
        self, items: Any, body: Callable[..., Any], names: tuple[str, ...],
        values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> tuple[Any, ...]:  # fmt: skip
        """``for item in items``: the variables `names` after it."""
        true = np.asarray(True)
        if isinstance(items, SymbolicRange):
            loop = _Loop(self, names, scope, place, body, item=_item_of(items))
            return loop.record(values, true, items.turns())
        if not isinstance(items, (range, Tensor)):
            return self._unroll(iter(items), body, names, values, scope, place)
        self.counts.append((place, len(items)))
        loop = _Loop(self, names, scope, place, body, item=_item_of(items))
        if place in self._kept_loops:
            return loop.record(values, true, len(items))
        for index, item in enumerate(items):
            turn = loop.try_turn(values, item)
            if turn is None:  # a tensor decides whether it goes on
                rest = items[index:]
                loop = _Loop(self, names, scope, place, body, item=_item_of(rest))
                return loop.record(values, true, len(rest))
            keep, *rest = turn
            values = tuple(rest)
            if not keep:
                break
        return values

    def _unroll(
        self, items: Iterator[Any], body: Callable[..., Any], names: tuple[str, ...],
        values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> tuple[Any, ...]:  # fmt: skip
        for item in items:
            keep, *rest = body(item, *values)
            values = tuple(rest)
            if is_symbolic(keep):
                return self._unroll_rest(keep, list(items), body, names, values, scope, place)
            if not keep:
                break
        return values

    def _unroll_rest(
        self, keep: Any, items: list[Any], body: Callable[..., Any], names: tuple[str, ...],
        values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The turns with further items, in a branch on `keep`."""
        scope = {**scope, **dict(zip(names, values))}

        def go_on(*given: Any) -> tuple[Any, ...]:
            return self._unroll(iter(items), body, names, given, scope, place)

        return self.branch(keep, go_on, lambda *given: given, names, values, scope, place)


def _item_of(items: Any) -> Callable[[Any], Any]:
    """From the number of a turn to the item of a range or tensor."""
    if isinstance(items, Tensor):
        return lambda number: get_item(items, number)
    if isinstance(items.start, int) and (items.start, items.step) == (0, 1):
        return lambda number: number
    return lambda number: number * items.step + items.start


@dataclass
class _Turn:
    """One turn of a loop's body as it was recorded."""

    inputs: list[int]
    goes_on: Any
    values: list[Any]
    refs: dict[int, Any]


@dataclass
class _Loop:
    """A loop that may be recorded; `body` returns whether it goes on, and the variables."""

    flow: Loops
    names: tuple[str, ...]
    scope: dict[str, Any]
    place: str
    body: Callable[..., Any]
    item: Callable[[Any], Any] | None = None
    test: Callable[..., Any] | None = None

    def try_turn(self, values: tuple[Any, ...], *item: Any) -> Any:
        """Run a turn; None, with nothing changed, if a tensor says whether it is the last."""
        tracer = self.flow.tracer
        containers = self.flow.containers({**self.scope, **dict(zip(self.names, values))})
        before, mark, counts = containers.contents(), tracer.mark(), len(self.flow.counts)
        turn = self.body(*item, *values)
        if not is_symbolic(turn[0]):
            return turn
        tracer.roll_back(mark)
        del self.flow.counts[counts:]
        containers.restore(before)
        return None

    def record(self, values: tuple[Any, ...], first: Any, turns: Any = None) -> tuple[Any, ...]:
        """Add a call "loop"; returns the variables after it."""
        tracer = self.flow.tracer
        first = tracer.ref_or_constant(first)
        turns = turns if turns is None or type(turns) is int else tracer.ref_or_constant(turns)
        variables = [Carried(name, value, self.place) for name, value in zip(self.names, values)]
        counts = len(self.flow.counts)
        for _ in range(_ATTEMPTS):
            del self.flow.counts[counts:]
            step, turn = self._record_turn(variables, values)
            changes = [v.widen(new) for v, new in zip(variables, turn.values)]
            if not any(changes):
                break
        else:
            raise Unsupported(f"{self.place}: what the loop's variables are changes in each turn")
        given: list[Any] = []
        outputs: list[int] = []
        step.outputs = [turn.goes_on]
        made = []
        for variable, new in zip(variables, turn.values):
            given += [tracer.ref_or_constant(leaf) for leaf in variable.initial()]
            step.outputs += [turn.refs[id(leaf)] for leaf in variable.select(new)]
            made.append(variable.after(tracer, new, outputs))
        block = Block(step, turn.inputs)
        tracer.append_blocks("loop", (turns, first, tuple(given)), outputs, [block], self.place)
        return tuple(made)

    def _record_turn(
        self, variables: list[Carried], values: tuple[Any, ...]
    ) -> tuple[Step, _Turn]:  # fmt: skip
        containers = self.flow.containers({**self.scope, **dict(zip(self.names, values))})
        before = containers.contents()
        try:
            recorded = self.flow.tracer.record_block(lambda: self._run_turn(variables), self.place)
            changed = [
                name
                for (name, _), old, new in zip(containers.found, before, containers.contents())
                if not same_items(old, new)
            ]
        finally:
            containers.restore(before)
        what = f"{self.place}: a loop whose number of turns depends on a tensor or a dynamic size"
        containers.require_attributes(what)
        if changed:
            raise Unsupported(f"{what} changes the list or dictionary `{changed[0]}`")
        return recorded

    def _run_turn(self, variables: list[Carried]) -> _Turn:
        flow, tracer = self.flow, self.flow.tracer
        index, number = tracer.make_value(Kind(True, np.dtype(np.int64)), 0)
        inputs = [index]
        begun = [variable.begin(tracer, inputs) for variable in variables]
        item = () if self.item is None else (self.item(number),)
        goes_on, *values = self.body(*item, *begun)
        if (test := self.test) is not None:
            goes_on = flow.all_true(goes_on, lambda: test(*values), self.place)
        refs = {
            id(leaf): tracer.ref_or_constant(leaf)
            for variable, new in zip(variables, values)
            for leaf in variable.select(new)
            if kind_of(leaf) is not None
        }
        ends = flow.truth(goes_on)
        return _Turn(inputs, tracer.ref_or_constant(ends), values, refs)
