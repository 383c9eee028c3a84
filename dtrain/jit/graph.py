"""The form of a recorded graph: values, calls in order, and decisions on values.

A graph is a tree of steps. Each step is a list of calls and ends with the outputs, or with a
decision: a value on which Python branched, and one further step for each outcome that was met.
Recording, running, files and pictures work on this form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain.backend.nested import find_nested, list_like, mapping_like


@dataclass(frozen=True)
class Ref:
    """A value of the graph as an argument; `of_array`: the array of a Tensor value."""

    value: int
    of_array: bool = False


@dataclass
class Value:
    """Kind, shape and dtype of one value.

    kind : "input", "parameter", "buffer" (of the module), "constant" (a tensor from outside),
        "tensor", "array" or "number" (results of calls)
    name : an input's or parameter's name; "" for results
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: np.dtype | None = None
    name: str = ""

    @property
    def type(self) -> str:
        """Shape and dtype as graphs print them: "float32[3, 4]"; "float" for a number."""
        return "float" if self.dtype is None else f"{self.dtype}{list(self.shape)}"


@dataclass
class Call:
    """One recorded call.

    name : the operation's name: a primitive's, "numpy.add", or that of a function of dtrain
    function : what is called
    args, kwargs : arguments, with a Ref for each value of the graph; also in lists, tuples, dicts
    outputs : (path in what is returned, value) of each output, () for the whole
    grad_enabled : whether autograd recorded
    place : file and line of the user's that called it
    writes_outside : whether it changes what exists outside of the graph
    """

    name: str
    function: Callable[..., Any]
    args: Any
    kwargs: dict[str, Any]
    outputs: list[tuple[tuple[Any, ...], int]]
    grad_enabled: bool
    place: str
    writes_outside: bool = False

    def refs(self) -> Iterator[Ref]:
        """The values that this call uses."""
        return refs_in((self.args, self.kwargs))


@dataclass
class Step:
    """Calls, and what comes after them: `outputs`, or a decision on `decides` with `branches`."""

    calls: list[Call] = field(default_factory=list)
    decides: Ref | None = None
    place: str = ""
    branches: dict[Any, Step] = field(default_factory=dict)
    outputs: Any = None
    run: Callable[[list[Any]], Any] | None = None

    def paths(self) -> int:
        """The number of ways through the graph from here."""
        return sum(branch.paths() for branch in self.branches.values()) or 1

    def all_steps(self) -> Iterator[Step]:
        """This step and all later ones."""
        yield self
        for branch in self.branches.values():
            yield from branch.all_steps()

    def refs(self) -> Iterator[Ref]:
        """The values that this step uses."""
        for call in self.calls:
            yield from call.refs()
        yield from refs_in((self.decides, self.outputs))


class Graph:
    """The recorded graph of a function, for arguments of certain shapes and dtypes.

    ``print(graph)`` shows it as a short program.
    """

    def __init__(self, name: str):
        self.name = name
        self.values: list[Value] = []
        self.root: Step = Step()
        #: the Tensors that values of kind parameter, buffer and constant are
        self.tensors: dict[int, Any] = {}
        #: those of them that each run begins with a copy of, as it writes to them
        self.copied: set[int] = set()
        self.inputs: list[int] = []
        #: whether autograd recorded where it was called
        self.grad_enabled = True
        #: how long the runs took that recorded it, and how long making its faster functions
        self.record_s = self.compile_s = 0.0

    def add(self, kind: str, like: Any = None, name: str = "") -> int:
        """Add a value of an array's shape and dtype, or a number; returns its index."""
        shape, dtype = (like.shape, like.dtype) if hasattr(like, "dtype") else ((), None)
        self.values.append(Value(kind, tuple(shape), dtype, name))
        return len(self.values) - 1

    def label(self, value: int) -> str:
        """The name of a value in the printed program."""
        return self.values[value].name or f"v{value}"

    def used_values(self) -> set[int]:
        """The values that calls take, or that are outputs."""
        return {ref.value for step in self.root.all_steps() for ref in step.refs()}

    def nodes(self) -> list[Call]:
        """All calls (torch.Graph.nodes)."""
        return [call for step in self.root.all_steps() for call in step.calls]

    def __str__(self) -> str:
        inputs = ", ".join(f"{self.label(i)}: {self.values[i].type}" for i in self.inputs)
        lines = [f"graph {self.name}({inputs}):"]
        for index in sorted(self.used_values() & self.tensors.keys()):
            value = self.values[index]
            lines.append(f"    {value.kind} {self.label(index)}: {value.type}")
        lines += self._step_lines(self.root, "    ")
        return "\n".join(lines)

    __repr__ = __str__

    def _step_lines(self, step: Step, indent: str) -> Iterator[str]:
        for call in step.calls:
            given = [self.text(arg) for arg in call.args]
            given += [f"{name}={self.text(arg)}" for name, arg in call.kwargs.items()]
            out = ", ".join(f"{self.label(v)}: {self.values[v].type}" for _, v in call.outputs)
            left = f"{out} = " if out else ""
            yield f"{indent}{left}{call.name}({', '.join(given)})  # {call.place}"
        if step.decides is None:
            yield f"{indent}return {self.text(step.outputs)}"
            return
        for outcome, branch in step.branches.items():
            condition = self.text(step.decides)
            condition = condition if outcome is True else f"{condition} is {outcome!r}"
            condition = f"not {self.text(step.decides)}" if outcome is False else condition
            yield f"{indent}if {condition}:  # {step.place}"
            yield from self._step_lines(branch, indent + "    ")

    def text(self, argument: Any) -> str:
        """An argument as the printed program shows it."""
        if isinstance(argument, Ref):
            return self.label(argument.value)
        if isinstance(argument, tuple):
            inner = ", ".join(map(self.text, argument))
            return f"({inner},)" if len(argument) == 1 else f"({inner})"
        if isinstance(argument, list):
            return f"[{', '.join(map(self.text, argument))}]"
        if isinstance(argument, dict):
            return f"{{{', '.join(f'{k!r}: {self.text(v)}' for k, v in argument.items())}}}"
        if isinstance(argument, slice):
            ends = (argument.start, argument.stop, argument.step)
            return f"slice({', '.join(map(self.text, ends))})"
        if isinstance(argument, np.ndarray) and argument.ndim:
            return f"<{argument.dtype}{list(argument.shape)}>"
        if callable(argument) and hasattr(argument, "__name__"):
            return argument.__name__
        return repr(argument)


def refs_in(argument: Any) -> Iterator[Ref]:
    """The Refs in an argument."""
    return find_nested((argument,), Ref)


def find_last_uses(used: Sequence[set[int]], needed: set[int]) -> list[list[int]]:
    """For each item of a sequence the values that no later one uses, nor `needed` has.

    used : the values of each item, those that it makes among them
    """
    known, dropped = set(needed), []
    for values in reversed(used):
        dropped.append(sorted(values - known))
        known |= values
    return dropped[::-1]


def rebuild(argument: Any, leaf: Callable[[Any], Any]) -> Any:
    """Lists, tuples, dicts and slices again, with `leaf(item)` in place of each other item."""
    kind = type(argument)
    if isinstance(argument, tuple) and hasattr(argument, "_fields"):
        return kind(*(rebuild(item, leaf) for item in argument))
    if isinstance(argument, list):
        return list_like(argument, [rebuild(item, leaf) for item in argument])
    if kind is tuple:
        return tuple([rebuild(item, leaf) for item in argument])
    if isinstance(argument, dict):
        items = {key: rebuild(item, leaf) for key, item in argument.items()}
        return mapping_like(argument, items)
    if kind is slice:
        return slice(*(rebuild(x, leaf) for x in (argument.start, argument.stop, argument.step)))
    return leaf(argument)
