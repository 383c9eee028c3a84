"""Steps of a graph as Python functions: call by call at first, then segments as one call each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from dtrain.autograd import grad_mode
from dtrain.jit.code_text import CodeText
from dtrain.jit.graph import Call, Graph, Ref, Step, find_last_uses, refs_in
from dtrain.jit.segment_code import write_segment
from dtrain.jit.segments import Observed, Segment, divide

#: Runs on the list of values, which it fills; returns the outputs, or the value that decides.
StepFunction: TypeAlias = Callable[[list[Any]], Any]


def make_step(graph: Graph, step: Step, later: set[int]) -> StepFunction:
    """A step as a function; `later` are the values that later steps use.

    Its first run notes which values are differentiated; the next one begins with making a faster
    function, `step.run`, while there are no values yet that are saved for a backward pass.
    """
    observed = Observed()
    plain = _write(graph, step, step.calls, later, graph.grad_enabled, observed)

    def first(values: list[Any]) -> Any:
        observed.note_given(values)
        result = plain(values)
        step.run = second
        return result

    def second(values: list[Any]) -> Any:
        start = time.perf_counter()
        items = divide(graph, step, later, observed)
        for item in items:
            if isinstance(item, Segment):
                alone = Step(item.calls)
                calls = _write(graph, alone, alone.calls, set(item.outputs), item.grad_enabled)
                item.run = write_segment(graph, item, observed, calls)
        step.run = _write(graph, step, items, later, graph.grad_enabled)
        graph.compile_s += time.perf_counter() - start
        return step.run(values)

    return first


def _write(
    graph: Graph, step: Step, items: Sequence[Call | Segment], later: set[int], enabled: bool,
    observed: Observed | None = None,
) -> StepFunction:  # fmt: skip
    """The function of a step whose calls are in `items`; `enabled`: the grad mode before them."""
    code = CodeText(_value_text, {"mode": grad_mode._mode})
    note = None if observed is None else code.constant(observed.note)
    code.lines.append("def step(v):")
    for item, dropped in zip(items, _last_uses(graph, step, items, later)):
        if item.grad_enabled != enabled:
            enabled = item.grad_enabled
            code.lines.append(f"    mode.enabled = {enabled}")
        if isinstance(item, Segment):
            code.lines.append(f"    {code.constant(item.run)}(v)")
        else:
            called = code.call(item.function, item.args, item.kwargs)
            code.lines += [f"    {line}" for line in code.call_lines(item, called)]
            if note is not None:
                code.lines += [f"    {note}({i}, v[{i}])" for _, i in item.outputs]
        if dropped:
            code.lines.append("    " + "; ".join(f"v[{value}] = None" for value in dropped))
    final = step.outputs if step.decides is None else step.decides
    code.lines.append(f"    return {code.text(final)}")
    return code.make(f"<dtrain graph {graph.name} {id(code):x}>")


def _value_text(ref: Ref) -> str:
    return f"v[{ref.value}].array" if ref.of_array else f"v[{ref.value}]"


def _last_uses(
    graph: Graph, step: Step, items: Sequence[Call | Segment], later: set[int]
) -> list[list[int]]:
    """For each item of a step the values that nobody needs after it."""
    needed = later | {ref.value for ref in refs_in((step.decides, step.outputs))}
    needed |= set(graph.inputs) | graph.tensors.keys()
    used = [
        {*item.inputs, *item.outputs}
        if isinstance(item, Segment)
        else {*(ref.value for ref in item.refs()), *(value for _, value in item.outputs)}
        for item in items
    ]
    return find_last_uses(used, needed)
