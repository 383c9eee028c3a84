"""The backward function of a segment: the vjps of its primitives, as `run_backward` runs them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from dtrain.autograd.fused_node import Backward
from dtrain.autograd.graph import convert, sum_to
from dtrain.jit.code_text import CodeText
from dtrain.jit.graph import Call, Graph, Ref


def make_backward(
    graph: Graph, calls: Sequence[Call], outputs: Sequence[int], differentiated: set[int]
) -> Callable[[tuple[int, ...]], Backward]:
    """Makes, and keeps, the backward functions for gradients of some of the outputs.

    calls : the differentiated ones, in order
    """

    @functools.cache
    def backward(given: tuple[int, ...]) -> Backward:
        return _write(graph, calls, outputs, differentiated, given)

    return backward


def reached_calls(
    calls: Sequence[Call], outputs: Sequence[int], differentiated: set[int], given: Sequence[int]
) -> list[int]:
    """The calls, by index and the last one first, that the `given` outputs come from."""
    wanted, found = {outputs[n] for n in given}, []
    for index, call in reversed(list(enumerate(calls))):
        if call.outputs[0][1] in wanted:
            found.append(index)
            wanted |= {value for _, value in differentiated_arguments(call, differentiated)}
    return found


def differentiated_arguments(call: Call, differentiated: set[int]) -> list[tuple[int, int]]:
    """(position, value) of the arguments of a call that have a gradient."""
    return [
        (n, arg.value)
        for n, arg in enumerate(call.args)
        if isinstance(arg, Ref) and not arg.of_array and arg.value in differentiated
    ]


def _write(
    graph: Graph, calls: Sequence[Call], outputs: Sequence[int], differentiated: set[int],
    given: tuple[int, ...],
) -> Backward:  # fmt: skip
    names = {"asarray": np.asarray, "convert": convert, "generic": np.generic, "sum_to": sum_to}
    code = CodeText(str, names)
    lines = code.lines
    lines.append("def backward(saved, grads, keep):")
    lines += [f"    g{outputs[n]} = grads[{n}]" for n in given]
    lines.append("    del grads")
    parts = {outputs[n]: 1 for n in given}  # how many gradients were added to each value
    made = {call.outputs[0][1] for call in calls}
    for index, call in reversed(list(enumerate(calls))):
        out = call.outputs[0][1]
        wanted = differentiated_arguments(call, differentiated)
        if out not in parts:
            lines += ["    yield None" for _, value in wanted if value not in made]
            continue
        lines.append(f"    f = saved[{index}]")
        lines.append(f"    if not keep: saved[{index}] = None")
        for n, value in wanted:
            if value not in made:
                lines.append(f"    yield f[{n}](g{out})")
                continue
            lines.append(f"    p = f[{n}](g{out})")
            lines += _addition(code, graph, value, parts)
        lines.append(f"    f = p = g{out} = None")
    lines.append("    return; yield")
    return code.make(f"<dtrain backward of {graph.name} {id(code):x}>")


def _addition(code: CodeText, graph: Graph, value: int, parts: dict[int, int]) -> list[str]:
    """Add the gradient `p` to that of a value, as `run_backward` does."""
    shape, dtype = graph.values[value].shape, graph.values[value].dtype
    known = code.constant(dtype)
    lines = [f"    if p.shape != {shape}: p = sum_to(p, {shape})"]
    lines.append(f"    if p.dtype is not {known} and p.dtype != {known}: p = convert(p, {known})")
    count = parts.get(value, 0)
    parts[value] = count + 1
    lines.append(f"    g{value} " + ("= p", f"= g{value} + p", "+= p")[min(count, 2)])
    if not shape:
        lines.append(f"    if isinstance(g{value}, generic): g{value} = asarray(g{value})")
    return lines
