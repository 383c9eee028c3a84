"""Segments: runs of calls in a graph that are executed as one.

A segment holds primitives, code on arrays, and batch statistics, random draws and updates of
buffers, in their order. A value that the user can reach before the segment ends (returned, written
to, given to another function) ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain.autograd.op import OPS
from dtrain.autograd.primitive import Primitive
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import is_cupy
from dtrain.backend.dtypes import is_half
from dtrain.backend.random import Generator
from dtrain.jit.array_functions import written_arguments
from dtrain.jit.graph import Call, Graph, Ref, Step, refs_in
from dtrain.nn.deferred_updates import DeferredBufferUpdates
from dtrain.primitives.normalization import batch_statistics

#: What may stand in a segment besides primitives and array code, if it is given no Tensors.
_CALLS = (
    batch_statistics,
    Generator.bits,
    Generator.draw_key,
    DeferredBufferUpdates.update_buffers,
)
_ALIASES = (Tensor.detach, wrap)
#: Functions whose results have as many elements as values say.
_VARYING = {
    "argwhere", "bincount", "compress", "extract", "flatnonzero", "nonzero", "trim_zeros",
    "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_rows",
    "unique_values",
}  # fmt: skip
#: Fewer primitives are not worth a segment.
MIN_PRIMITIVES = 2


class Observed:
    """Facts on the values of a graph from one run: which are differentiated, which on a device,
    and which lie in C order."""

    def __init__(self) -> None:
        self.differentiated: set[int] = set()
        self.on_device: set[int] = set()
        self.ordered: set[int] = set()

    def note_given(self, values: Sequence[Any]) -> None:
        """Note the values that are there before a step."""
        for index, value in enumerate(values):
            if value is not None:
                self.note(index, value)

    def note(self, index: int, value: Any) -> None:
        """Note one value."""
        if isinstance(value, Tensor):
            if value._graph_edge() is not None:
                self.differentiated.add(index)
            value = value.array
        if is_cupy(value):
            self.on_device.add(index)
        elif isinstance(value, np.ndarray) and value.flags.c_contiguous:
            self.ordered.add(index)


@dataclass
class Segment:
    """Calls that are executed as one function.

    inputs, outputs : the values that it takes, and those that are used after it
    run : the function that executes it
    """

    calls: list[Call]
    grad_enabled: bool
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    run: Callable[[list[Any]], None] | None = None


def is_primitive(call: Call) -> bool:
    """Whether a call is of an operation that autograd records."""
    primitive = getattr(call.function, "primitive", None)
    return primitive is not None and OPS.get(primitive.name) is call.function


def primitive_of(call: Call) -> Primitive:
    """The primitive of a call for which `is_primitive` holds."""
    operation: Any = call.function
    return operation.primitive


def is_array_code(call: Call) -> bool:
    """Whether a call is of a function of arrays without effects but writes to arrays."""
    return call.name.startswith(("numpy.", "array."))


def is_number_free(call: Call, graph: Graph) -> bool:
    """Whether arrays alone come out of a call."""
    return all(graph.values[value].dtype is not None for _, value in call.outputs)


def divide(graph: Graph, step: Step, later: set[int], observed: Observed) -> list[Call | Segment]:
    """The calls of a step in order, with those that can be executed together in Segments."""
    members = _Members(graph, step, later)
    items: list[Call | Segment] = []
    part: list[Call] = []
    made: set[int] = set()
    mode: bool | None = None  # the grad mode of the primitives in `part`

    def close() -> None:
        nonlocal mode
        if part:
            items.append(Segment(list(part), part[0].grad_enabled if mode is None else mode))
        part.clear()
        made.clear()
        mode = None

    for call in step.calls:
        if not members.has(call):
            close()
            items.append(call)
            continue
        reached = {ref.value for ref in call.refs()} & members.exposed & made
        changes_mode = is_primitive(call) and mode not in (None, call.grad_enabled)
        if changes_mode or reached & observed.differentiated:
            close()
        part.append(call)
        mode = call.grad_enabled if is_primitive(call) else mode
        made.update(value for _, value in call.outputs)
    close()
    _find_ends(step, items, later)
    divided: list[Call | Segment] = []
    for item in items:
        if isinstance(item, Call) or sum(map(is_primitive, item.calls)) >= MIN_PRIMITIVES:
            divided.append(item)
        else:
            divided.extend(item.calls)
    return divided


class _Members:
    """Which calls of a step may stand in segments."""

    def __init__(self, graph: Graph, step: Step, later: set[int]):
        self._graph = graph
        self._varying = _varying_values(graph)
        self._root: dict[int, int] = {}
        for call in step.calls:
            if _makes_alias(call):
                source = next(refs_in(call.args), None)
                for _, value in call.outputs:
                    self._root[value] = value if source is None else self._root_of(source.value)
        given = {*graph.inputs, *graph.tensors}
        ends = {ref.value for ref in refs_in((step.decides, step.outputs))} | later
        others = [call for call in step.calls if not self._fits(call)]
        touched = {ref.value for call in others for ref in call.refs()}
        #: the values that somebody outside of segments can reach
        self.exposed: set[int] = ends | touched
        self._open = {self._root_of(value) for value in touched}
        self._open |= {self._root_of(value) for value in ends} - given
        for call in step.calls:  # views of those are made one by one
            if _makes_alias(call) and not self.has(call):
                self.exposed |= {ref.value for ref in refs_in(call.args)}

    def _root_of(self, value: int) -> int:
        return self._root.get(value, value)

    def has(self, call: Call) -> bool:
        """Whether a call may stand in a segment."""
        if not self._fits(call):
            return False
        if not _makes_alias(call):
            return True
        return all(self._root_of(value) not in self._open for _, value in call.outputs)

    def _fits(self, call: Call) -> bool:
        used = {ref.value for ref in call.refs()} | {value for _, value in call.outputs}
        if used & self._varying:
            return False
        values = [self._graph.values[ref.value] for ref in call.refs()]
        if is_primitive(call):
            values += [self._graph.values[value] for _, value in call.outputs]
            halves = any(x.dtype is not None and is_half(x.dtype) for x in values)
            return not halves and [path for path, _ in call.outputs] == [()]
        if call.function in _ALIASES:
            return [path for path, _ in call.outputs] == [()]
        known = is_array_code(call) or call.function in _CALLS
        tensors = any(self._is_tensor(ref) for ref in call.refs())
        return known and not tensors and is_number_free(call, self._graph)

    def _is_tensor(self, ref: Ref) -> bool:
        return not ref.of_array and is_tensor(self._graph, ref.value)


def _varying_values(graph: Graph) -> set[int]:
    """The values whose shapes depend on values: the code of a segment is for one shape."""
    return {value for call in calls_of_varying_shape(graph) for _, value in call.outputs}


def calls_of_varying_shape(graph: Graph) -> list[Call]:
    """The calls that give such values, in order."""
    varying: set[int] = set()
    calls: list[Call] = []
    for call in graph.nodes():
        used = {ref.value for ref in call.refs()}
        index = {ref.value for ref in refs_in((call.args[1:], call.kwargs))}
        short = call.name.rpartition(".")[2]
        by_mask = short == "getitem" and any(graph.values[i].dtype == bool for i in index)
        by_counts = short == "repeat" and len(used) > 1
        if used & varying or short in _VARYING or by_mask or by_counts:
            varying |= {value for _, value in call.outputs}
            calls.append(call)
    return calls


def is_tensor(graph: Graph, value: int) -> bool:
    """Whether a value of a graph is a Tensor, rather than an array or a number."""
    return graph.values[value].kind not in ("array", "number") and (
        graph.values[value].dtype is not None
    )


def _makes_alias(call: Call) -> bool:
    """Whether a call's output may share memory with its first argument, as a Tensor."""
    return call.function in _ALIASES or (is_primitive(call) and primitive_of(call).is_view)


def _find_ends(step: Step, items: Sequence[Call | Segment], later: set[int]) -> None:
    """Find the inputs and outputs of the segments; drop the calls that nobody needs."""
    needed = later | {ref.value for ref in refs_in((step.decides, step.outputs))}
    for item in reversed(items):
        if isinstance(item, Segment):
            after = set(needed)
            item.calls = _without_unused(item.calls, after)
            made = {value for call in item.calls for _, value in call.outputs}
            item.outputs = sorted(made & after)
            item.inputs = sorted(_used(item.calls) - made)
            needed |= set(item.inputs)
        else:
            needed |= _used([item])


def _used(calls: Iterable[Call]) -> set[int]:
    return {ref.value for call in calls for ref in call.refs()}


def _without_unused(calls: Sequence[Call], needed: set[int]) -> list[Call]:
    kept: list[Call] = []
    needed = set(needed)
    for call in reversed(calls):
        pure = is_primitive(call) or call.function in _ALIASES or call.function is batch_statistics
        pure = pure or (is_array_code(call) and not written_values(call))
        if not pure or any(value in needed for _, value in call.outputs):
            kept.append(call)
            needed |= _used([call])
    return kept[::-1]


def written_values(call: Call) -> list[int]:
    """The values whose arrays a call of array code writes to."""
    written = written_arguments(call.function, call.args, call.kwargs, call.name)
    return [ref.value for ref in refs_in(written)]


def find_same(segment: Segment, text: Callable[[Call], str], same: dict[int, int]) -> None:
    """Note in `same` which values an earlier call has computed, with that call's value.

    `text` describes a call, with the earlier values in place of those in `same`.
    """
    excluded = {value for call in segment.calls for value in written_values(call)}
    excluded |= set(segment.outputs)  # others may write to them
    known: dict[str, int] = {}
    for call in segment.calls:
        values = [value for _, value in call.outputs]
        pure = is_primitive(call) or (is_array_code(call) and not written_values(call))
        used = {ref.value for ref in call.refs()}
        if pure and len(values) == 1 and not excluded & {*values, *used}:
            earlier = known.setdefault(text(call), values[0])
            if earlier != values[0]:
                same[values[0]] = earlier
