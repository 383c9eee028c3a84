"""The backward function of a segment: the vjps of its primitives, as `run_backward` runs them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

from dtrain.autograd.fused_node import Backward
from dtrain.autograd.gradient_array import convert, sum_to
from dtrain.jit.array_calls import Example
from dtrain.jit.code_text import CodeText
from dtrain.jit.flat_code import FlatCode
from dtrain.jit.graph import Call, Graph, Ref
from dtrain.jit.rules import Rule


def make_backward(
    graph: Graph, calls: Sequence[Call], rules: Sequence[Rule | None], outputs: Sequence[int],
    differentiated: set[int],
) -> Callable[[tuple[int, ...]], Backward]:  # fmt: skip
    """Makes, and keeps, the backward functions for gradients of some of the outputs.

    calls : the differentiated ones, in order; rules : theirs, where they were traced
    """

    @functools.cache
    def backward(given: tuple[int, ...]) -> Backward:
        start = time.perf_counter()
        made = _Writer(graph, differentiated).write(calls, rules, outputs, given)
        graph.compile_s += time.perf_counter() - start
        return made

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


class _Writer:
    def __init__(self, graph: Graph, differentiated: set[int]):
        self._graph = graph
        self._differentiated = differentiated
        names = {"asarray": np.asarray, "convert": convert, "generic": np.generic, "sum_to": sum_to}
        self._code = CodeText(lambda ref: f"a{ref.value}", names)
        self._flat = FlatCode(self._code, 0)
        self._grads: dict[int, int] = {}  # of values of the graph: the number here
        self._yielded = 0
        self._parts: dict[int, int] = {}  # how many gradients were added to each

    def write(
        self, calls: Sequence[Call], rules: Sequence[Rule | None], outputs: Sequence[int],
        given: tuple[int, ...],
    ) -> Backward:  # fmt: skip
        """The backward function for gradients of the `given` outputs."""
        flat = self._flat
        self._code.lines.append("def backward(saved, grads, keep, memory):")
        for n in given:
            self._grads[outputs[n]] = grad = flat.new_value()
            self._parts[outputs[n]] = 1
            flat.add_lines([f"a{grad} = grads[{n}]"], (), [grad])
        flat.add_lines(["del grads"])
        made = {call.outputs[0][1] for call in calls}
        for index, call in reversed(list(enumerate(calls))):
            wanted = differentiated_arguments(call, self._differentiated)
            if call.outputs[0][1] in self._grads:
                self._write_call(index, call, rules[index], made)
            else:
                nothing = ["yield None" for _, value in wanted if value not in made]
                self._yielded += len(nothing)
                flat.add_lines(nothing, moves="down")
        flat.add_lines(["return; yield"])
        flat.write((), "    ", {})
        return self._code.make(f"<dtrain backward of {self._graph.name} {id(self._code):x}>")

    def _write_call(self, index: int, call: Call, rule: Rule | None, made: set[int]) -> None:
        """The gradients of the inputs of one call."""
        flat, grad = self._flat, self._grads[call.outputs[0][1]]
        wanted = differentiated_arguments(call, self._differentiated)
        numbers: dict[int, int] = {}
        if rule is None:
            flat.add_lines([f"f = saved[{index}]"])
        else:
            numbers = {value: flat.new_value() for value in rule.kept}
            flat.layouts.strides.update((numbers[v], s) for v, s in rule.layouts.items())
            numbers[rule.grad] = grad
            if rule.kept:
                unpacked = "".join(f"a{numbers[value]}, " for value in rule.kept)
                saved = [numbers[value] for value in rule.kept]
                flat.add_lines([f"{unpacked}= saved[{index}]"], (), saved, moves="up")
        flat.add_lines([f"if not keep: saved[{index}] = None"], moves="up")
        for position, (n, value) in enumerate(wanted):
            example = None
            if rule is None:
                part = flat.new_value()
                flat.add_lines([f"a{part} = f[{n}](a{grad})"], [grad], [part])
            else:
                part_calls, local = rule.backward[position]
                flat.add_calls(part_calls, rule.examples, numbers)
                part, example = numbers[local], rule.examples[local]
            if value in made:
                self._add(value, part, example)
            else:
                known = self._graph.values[value]
                fits = example is not None and example[:2] == (known.shape, known.dtype)
                flat.add_yield(part, f"memory[{self._yielded}]" if fits else None)
                self._yielded += 1
        if rule is None:
            flat.add_lines(["f = None"])

    def _add(self, value: int, part: int, example: Example | None) -> None:
        """Add a part to the gradient of a value, as `run_backward` does.

        example : what is known of the part
        """
        flat, known = self._flat, self._graph.values[value]
        like = Example(known.shape, known.dtype, True)
        if example is None or example[:2] != like[:2]:
            shape, dtype = known.shape, self._code.constant(known.dtype)
            adapted, a, b = flat.new_value(), f"a{part}", "p"
            flat.add_lines(
                [
                    f"{b} = {a} if {a}.shape == {shape} else sum_to({a}, {shape})",
                    f"if {b}.dtype is not {dtype} and {b}.dtype != {dtype}: "
                    f"{b} = convert({b}, {dtype})",
                    f"a{adapted} = {b}; {b} = None",
                ],
                [part],
                [adapted],
            )
            part = adapted
        count = self._parts.get(value, 0)
        self._parts[value] = count + 1
        if count == 0:
            self._grads[value] = part
        elif count == 1:
            self._grads[value] = flat.add_new_sum(self._grads[value], part, like)
        else:
            flat.add_sum(self._grads[value], part)
        if not known.shape:  # NumPy's operators return numbers for 0-d arrays
            total = self._grads[value]
            flat.add_lines([f"if isinstance(a{total}, generic): a{total} = asarray(a{total})"],
                           [total], [total])  # fmt: skip
