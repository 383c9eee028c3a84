"""The function that executes a segment: the primitives' own rules, without Tensors between them."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.fused_node import FusedNode, FusedPlan
from dtrain.autograd.op import as_array, refusal_of
from dtrain.autograd.tensor import Tensor
from dtrain.backend import on_device_of
from dtrain.jit.backward_code import differentiated_arguments, make_backward, reached_calls
from dtrain.jit.code_text import CodeText
from dtrain.jit.graph import Call, Graph, find_last_uses
from dtrain.jit.segments import (
    Observed,
    Segment,
    is_array_code,
    is_primitive,
    is_tensor,
    primitive_of,
    written_values,
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
        self._code = CodeText(
            lambda ref: f"a{self._name(ref.value)}",
            {
                "FusedNode": FusedNode, "Tensor": Tensor, "as_array": as_array, "calls": calls,
                "edges_of": _edges_of, "errstate": np.errstate, "mode": grad_mode._mode,
                "ndarray": np.ndarray, "new": object.__new__, "on_device_of": on_device_of,
                "refused": self._refused,
            },
        )  # fmt: skip

        _find_same(segment, self._called, self._same)

    def _is_differentiated(self, call: Call) -> bool:
        return is_primitive(call) and call.outputs[0][1] in self._observed.differentiated

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
        for call, dropped in zip(self._segment.calls, self._last_uses()):
            self._write_call(call, [value for _, value in call.outputs])
            if dropped:
                self._line(call, "; ".join(f"a{value} = None" for value in dropped))

    def _write_call(self, call: Call, values: list[int]) -> None:
        called = self._called(call)
        if any(value in self._same for value in values):
            return
        if is_primitive(call):
            (value,) = values
            if self._is_differentiated(call):
                self._line(call, f"a{value}, f{value} = {called}")
            else:
                self._line(call, f"a{value} = {called}[0]")
            self._line(call, f"if type(a{value}) is not ndarray: a{value} = as_array(a{value})")
        else:
            for line in self._code.call_lines(call, called):
                self._line(call, line)

    def _line(self, call: Call, text: str) -> None:
        self._code.lines.append(" " * 12 + text)
        if is_primitive(call):
            self._names[len(self._code.lines)] = primitive_of(call).name

    def _called(self, call: Call) -> str:
        """The text that runs a call on arrays."""
        if not is_primitive(call):
            if call.function is Tensor.detach or call.name == "wrap":
                return self._code.text(call.args[0])
            return self._code.call(call.function, call.args, call.kwargs)
        primitive = primitive_of(call)
        missing = [None] * (len(primitive.inputs) - len(call.args))
        return self._code.call(primitive.function, (*call.args, *missing), call.kwargs)

    def _last_uses(self) -> list[list[int]]:
        """For each call the values that nobody needs after it."""
        again = [call for call in self._segment.calls if self._is_run_again(call)]
        taken = {ref.value for call in again for ref in call.refs()}
        other = [call for call in self._segment.calls if not self._is_run_again(call)]
        arrays = {value for call in other for _, value in call.outputs}
        arrays |= set(self._segment.inputs) - set(self._tensors)
        self._extras = sorted(taken & arrays) if self._differentiated else []
        needed = {*self._segment.outputs, *map(self._name, self._extras)}
        used = [
            {*(ref.value for ref in call.refs()), *(value for _, value in call.outputs)}
            for call in self._segment.calls
        ]
        return find_last_uses([set(map(self._name, values)) for values in used], needed)

    # --- outputs ---

    def _write_outputs(self) -> None:
        code, observed = self._code, self._observed
        outputs = [i for i in self._segment.outputs if i in observed.differentiated]
        if self._differentiated:
            plan = code.constant(self._plan(outputs))
            vjps = ", ".join(f"f{self._name(c.outputs[0][1])}" for c in self._differentiated)
            extras = "".join(f"a{self._name(i)}, " for i in self._extras)
            code.lines.append(f"    node = FusedNode({plan}, inputs, edges, [{vjps}], ({extras}))")
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

    def _plan(self, outputs: list[int]) -> FusedPlan:
        known = self._observed.differentiated
        wanted = [differentiated_arguments(call, known) for call in self._differentiated]
        operations = [
            (primitive_of(call), [n for n, _ in arguments])
            for call, arguments in zip(self._differentiated, wanted)
        ]
        made = {call.outputs[0][1] for call in self._differentiated}
        backward = make_backward(self._graph, self._differentiated, outputs, known)
        targets = [
            self._tensors.index(value)
            for arguments in reversed(wanted)
            for _, value in arguments
            if value not in made
        ]
        reached = functools.partial(reached_calls, self._differentiated, outputs, known)
        return FusedPlan(operations, targets, backward, reached, self._rerun(outputs))

    def _is_run_again(self, call: Call) -> bool:
        """Whether a call makes a Tensor, without effects."""
        return is_primitive(call) or (
            len(call.outputs) == 1 and is_tensor(self._graph, call.outputs[0][1])
        )

    def _rerun(self, outputs: list[int]) -> Callable[..., Any]:
        """A function that runs the operations on Tensors, one by one."""
        code = CodeText(lambda ref: f"x{ref.value}" + ".array" * ref.of_array, {})
        given = "".join(f"x{i}, " for i in self._tensors)
        extras = "".join(f"x{i}, " for i in self._extras)
        code.lines.append("def rerun(inputs, extras):")
        code.lines += [f"    {given}= inputs"] if given else []
        code.lines += [f"    {extras}= extras"] if extras else []
        for call in self._segment.calls:
            if self._is_run_again(call):
                called = code.call(call.function, call.args, call.kwargs)
                code.lines.append(f"    x{call.outputs[0][1]} = {called}")
        made = ", ".join(f"x{call.outputs[0][1]}" for call in self._differentiated)
        code.lines.append(f"    return [{made}], [{', '.join(f'x{i}' for i in outputs)}]")
        return code.make(f"<dtrain operations of {self._graph.name} {id(self):x}>")

    def _refused(self, error: ValueError | OverflowError) -> Exception:
        """The error as the operation that raised it would raise it."""
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == self._filename and line in self._names:
                return refusal_of(self._names[line], error)
        return error


def _edges_of(tensors: Sequence[Tensor]) -> list[Any]:
    """The graph edges of Tensors, as `Tensor._graph_edge` gives them."""
    return [
        x._graph_edge()
        if x._view is not None
        else (None if not x._requires_grad else x if x._node is None else x._node)
        for x in tensors
    ]


def _find_same(segment: Segment, text: Callable[[Call], str], same: dict[int, int]) -> None:
    """Note in `same` which values an earlier call has computed, with that call's value.

    `text` writes a call, with the earlier values in place of those in `same`.
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
