"""The function that executes a segment: the array code of the primitives' rules, call by call.

A rule that cannot be traced (`rules.py`) is called as it is.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.fused_node import FusedNode, FusedOperation, FusedPlan
from dtrain.autograd.op import as_array, refusal_of
from dtrain.autograd.primitive import Primitive
from dtrain.autograd.tensor import Tensor
from dtrain.backend import on_device_of
from dtrain.jit.backward_code import differentiated_arguments, make_backward, reached_calls
from dtrain.jit.code_text import CodeText
from dtrain.jit.device_backward import make_device_backward
from dtrain.jit.flat_code import FlatCode
from dtrain.jit.graph import Call, Graph
from dtrain.jit.rerun_code import write_rerun
from dtrain.jit.rules import Rule, call_form, trace_rule
from dtrain.jit.segments import (
    Observed,
    Segment,
    find_same,
    is_primitive,
    is_tensor,
    primitive_of,
)


def write_segment(
    graph: Graph, segment: Segment, observed: Observed, calls: Callable[[list[Any]], Any]
) -> Callable[[list[Any]], None]:
    """A function that runs a segment on the list of values.

    `calls` runs it call by call, where other values are differentiated than those observed.
    """
    return _Writer(graph, segment, observed, calls).write()


class _Writer:
    def __init__(
        self, graph: Graph, segment: Segment, observed: Observed, calls: Callable[..., Any]
    ):
        self._graph, self._segment, self._observed = graph, segment, observed
        self._tensors = [i for i in segment.inputs if is_tensor(graph, i)]
        self._extras: list[int] = []
        self._same: dict[int, int] = {}
        self._names: dict[int, str] = {}  # of line numbers: the primitive
        self._differentiated = [call for call in segment.calls if self._is_differentiated(call)]
        self._rules = {} if observed.on_device else self._trace_rules()
        self._frames: list[str] = []  # frames that live until the backward pass
        self._saved: dict[int, str] = {}  # of calls, by id: what their backward pass takes
        self._code = CodeText(
            lambda ref: f"a{self._name(ref.value)}",
            {
                "FusedNode": FusedNode, "Tensor": Tensor, "as_array": as_array, "calls": calls,
                "edges_of": _edges_of, "errstate": np.errstate, "mode": grad_mode._mode,
                "ndarray": np.ndarray, "new": object.__new__, "on_device_of": on_device_of,
                "refused": self._refused,
            },
        )  # fmt: skip

        find_same(segment, self._describe, self._same)

    def _is_differentiated(self, call: Call) -> bool:
        return is_primitive(call) and call.outputs[0][1] in self._observed.differentiated

    def _trace_rules(self) -> dict[int, Rule | None]:
        """The rules of the primitives, by the ids of the calls."""
        known: dict[Any, Rule | None] = {}
        rules: dict[int, Rule | None] = {}
        for call in filter(is_primitive, self._segment.calls):
            wanted = self._wanted(call)
            form, values = call_form(primitive_of(call), call, self._graph.values, wanted)
            if form not in known:
                known[form] = trace_rule(primitive_of(call), call, self._graph.values, wanted)
            rule = known[form]
            rules[id(call)] = None if rule is None else rule.with_arguments(values)
        return rules

    def _describe(self, call: Call) -> str:
        """What a call computes, and which gradients its backward pass does."""
        return f"{self._called(call)} {self._wanted(call)}"

    def _wanted(self, call: Call) -> list[int]:
        """The arguments of a primitive whose gradients are computed, by position."""
        if not is_primitive(call) or not self._is_differentiated(call):
            return []
        return [n for n, _ in differentiated_arguments(call, self._observed.differentiated)]

    def _name(self, value: int) -> int:
        """The value that stands for this one, as it is the same."""
        return self._same.get(value, value)

    def write(self) -> Callable[[list[Any]], None]:
        lines = self._code.lines
        lines.append("def segment(v):")
        self._write_inputs()
        lines += ["    try:", f"        with errstate(all='ignore'){self._device()}:"]
        self._write_calls()
        lines += [
            "    except (ValueError, OverflowError) as error:",
            "        raise refused(error)",
        ]
        self._write_outputs()
        self._filename = f"<dtrain segment of {self._graph.name} {id(self):x}>"
        return self._code.make(self._filename)

    def _write_inputs(self) -> None:
        lines, segment = self._code.lines, self._segment
        if segment.inputs:
            lines.append("    " + "; ".join(f"a{i} = v[{i}]" for i in segment.inputs))
        check = f"mode.enabled is not {segment.grad_enabled}"
        if segment.grad_enabled:
            lines.append(f"    inputs = ({''.join(f'a{i}, ' for i in self._tensors)})")
            lines.append("    edges = edges_of(inputs)")
            expected = [i not in self._observed.differentiated for i in self._tensors]
            check += f" or [e is None for e in edges] != {expected}"
        lines.append(f"    if {check}: return calls(v)")
        if self._tensors:
            lines.append("    " + "; ".join(f"a{i} = a{i}.array" for i in self._tensors))

    def _device(self) -> str:
        given = [i for i in self._segment.inputs if i in self._observed.on_device]
        return f", on_device_of(a{given[0]})" if given else ""

    # --- the calls ---

    def _write_calls(self) -> None:
        values = self._graph.values
        given = {i for i in self._tensors if values[i].kind != "parameter"}
        given &= self._observed.ordered
        flat = FlatCode(self._code, len(self._graph.values), given)
        start = len(self._code.lines) - 2  # before the lines that begin to run the calls
        flat.hold(self._segment.inputs)
        needed, kept = self._find_extras(), set()
        for call in self._segment.calls:
            called = self._called(call)
            if not any(value in self._same for _, value in call.outputs):
                rule = self._rules.get(id(call))
                if rule is None:
                    self._write_call(flat, call, called)
                else:
                    kept |= self._write_rule(flat, call, rule)
        self._frames = flat.write(needed, " " * 12, self._names, kept - needed)
        if assumed := sorted(flat.layouts.assumed):
            checks = " and ".join(f"a{value}.flags.c_contiguous" for value in assumed)
            self._code.lines.insert(start, f"    if not ({checks}): return calls(v)")
            self._names = {number + 1: name for number, name in self._names.items()}

    def _write_call(self, flat: FlatCode, call: Call, called: str) -> None:
        """Run a call as it is."""
        uses = {self._name(ref.value) for ref in call.refs()}
        values = [value for _, value in call.outputs]
        if not is_primitive(call):
            flat.add_lines(self._code.call_lines(call, called), uses, values)
            return
        (value,) = values
        if self._is_differentiated(call):
            lines = [f"a{value}, f{value} = {called}"]
            self._saved[id(call)] = f"f{value}"
        else:
            lines = [f"a{value} = {called}[0]"]
        lines.append(f"if type(a{value}) is not ndarray: a{value} = as_array(a{value})")
        flat.add_lines(lines, uses, values, primitive_of(call).name)

    def _write_rule(self, flat: FlatCode, call: Call, rule: Rule) -> set[int]:
        """Run the calls of a primitive's rule; returns the values saved for the backward pass."""
        (_, value), label = call.outputs[0], rule.primitive.name
        numbers = {local: self._name(mine) for mine, local in rule.arguments.items()}
        is_new = rule.output not in numbers and rule.examples[rule.output].is_array
        if is_new:
            numbers[rule.output] = value
        flat.add_calls(rule.forward, rule.examples, numbers, label)
        if not rule.examples[rule.output].is_array:
            result = numbers[rule.output]
            flat.add_lines([f"a{value} = as_array(a{result})"], [result], [value], label)
        elif not is_new:
            flat.add_name(value, numbers[rule.output])
        known = flat.layouts.strides
        rule.layouts = {v: known[numbers[v]] for v in rule.kept if numbers[v] in known}
        saved = [value if local == rule.output else numbers[local] for local in rule.kept]
        self._saved[id(call)] = f"({''.join(f'a{number}, ' for number in saved)})"
        return set(saved)

    def _called(self, call: Call) -> str:
        """The text that runs a call on arrays."""
        if not is_primitive(call):
            if call.function is Tensor.detach or call.name == "wrap":
                return self._code.text(call.args[0])
            return self._code.call(call.function, call.args, call.kwargs)
        primitive = primitive_of(call)
        missing = [None] * (len(primitive.inputs) - len(call.args))
        return self._code.call(primitive.function, (*call.args, *missing), call.kwargs)

    def _find_extras(self) -> set[int]:
        """Find what a second run of the operations takes besides Tensors; returns the values that
        are needed at the end."""
        again = [call for call in self._segment.calls if self._is_run_again(call)]
        taken = {ref.value for call in again for ref in call.refs()}
        other = [call for call in self._segment.calls if not self._is_run_again(call)]
        arrays = {value for call in other for _, value in call.outputs}
        arrays |= set(self._segment.inputs) - set(self._tensors)
        self._extras = sorted(taken & arrays) if self._differentiated else []
        return {*self._segment.outputs, *map(self._name, self._extras)}

    # --- outputs ---

    def _write_outputs(self) -> None:
        code, observed = self._code, self._observed
        outputs = [i for i in self._segment.outputs if i in observed.differentiated]
        if self._differentiated:
            plan = code.constant(self._plan(outputs))
            saved = ", ".join([*map(self._saved_by, self._differentiated), *self._frames])
            extras = "".join(f"a{self._name(i)}, " for i in self._extras)
            code.lines.append(f"    node = FusedNode({plan}, inputs, edges, [{saved}], ({extras}))")
        for value in self._segment.outputs:
            if not is_tensor(self._graph, value):
                code.lines.append(f"    v[{value}] = a{value}")
                continue
            code.lines.append(
                f"    v[{value}] = r = new(Tensor); r.array = a{value}; r._version = [0]"
            )
            if value in outputs:
                (call,) = [c for c in self._differentiated if c.outputs[0][1] == value]
                primitive = code.constant(primitive_of(call))
                code.lines.append(f"    node.add_output(r, {outputs.index(value)}, {primitive})")

    def _first_id(self, call: Call) -> int:
        """The id of a differentiated call, or of the one that has computed the same before."""
        first = self._name(call.outputs[0][1])
        return next(id(c) for c in self._differentiated if c.outputs[0][1] == first)

    def _saved_by(self, call: Call) -> str:
        """The text of the values saved for the backward pass of a call."""
        return self._saved[self._first_id(call)]

    def _plan(self, outputs: list[int]) -> FusedPlan:
        known = self._observed.differentiated
        wanted = [differentiated_arguments(call, known) for call in self._differentiated]
        rules = [self._rules.get(self._first_id(call)) for call in self._differentiated]
        operations = [
            FusedOperation(
                primitive_of(call),
                functools.partial(_kept_name, primitive_of(call), self._wanted(call))
                if rule is None
                else rule.kept_name,
            )
            for call, rule in zip(self._differentiated, rules)
        ]
        made = {call.outputs[0][1] for call in self._differentiated}
        if self._observed.on_device:
            backward = make_device_backward(self._graph, self._differentiated, outputs, known)
        else:
            backward = make_backward(self._graph, self._differentiated, rules, outputs, known)
        targets = [
            self._tensors.index(value)
            for arguments in reversed(wanted)
            for _, value in arguments
            if value not in made
        ]
        reached = functools.partial(reached_calls, self._differentiated, outputs, known)
        return FusedPlan(operations, targets, backward, reached, self._write_rerun(outputs))

    def _is_run_again(self, call: Call) -> bool:
        """Whether a call makes a Tensor, without effects."""
        return is_primitive(call) or (
            len(call.outputs) == 1 and is_tensor(self._graph, call.outputs[0][1])
        )

    def _write_rerun(self, outputs: Sequence[int]) -> Callable[..., Any]:
        """A function that runs the operations on Tensors, one by one."""
        calls = [call for call in self._segment.calls if self._is_run_again(call)]
        made = [call.outputs[0][1] for call in self._differentiated]
        name = f"<dtrain operations of {self._graph.name} {id(self):x}>"
        return write_rerun(calls, self._tensors, self._extras, made, outputs, name)

    def _refused(self, error: ValueError | OverflowError) -> Exception:
        """The error as the operation that raised it would raise it."""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == self._filename and self._names.get(line):
                return refusal_of(self._names[line], error)
        return error


def _kept_name(
    primitive: Primitive, wanted: Sequence[int], vjps: Sequence[Any], array: Any
) -> str | None:
    """The name of the value kept by the wanted vjps that shares memory with an array."""
    return primitive.kept_name([vjps[n] for n in wanted], array)


def _edges_of(tensors: Sequence[Tensor]) -> list[Any]:
    """The graph edges of Tensors, as `Tensor._graph_edge` gives them."""
    return [
        x._graph_edge()
        if x._view is not None
        else (None if not x._requires_grad else x if x._node is None else x._node)
        for x in tensors
    ]
