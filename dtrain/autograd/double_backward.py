"""The gradient functions of a recorded operation once more, over Tensors (create_graph=True).

What a gradient function keeps of the forward pass is in its closure, under the names of the
rule: an input, `out`, or what does not depend on an input. So it is taken again with a closure in
which inputs and `out` are linked to the graph, and the array module is dtrain's operations.

A rule that keeps more is marked `@op(recomputed=True)`: it is run again on recorded inputs.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from dtrain.autograd.graph import INPUTS_OF, STATIC_OF, Node
from dtrain.autograd.recorded_array import NotRecordable, RecordedArray, RecordedModule
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend.dtypes import is_floating


def record_vjps(node: Node) -> Sequence[Callable]:
    """The gradient functions of a node, over RecordedArrays."""
    return [
        rule if parent is None else functools.partial(_refuse_by_name, node.name, rule)
        for parent, rule in zip(node.parents, _rules_again(node))
    ]


def _refuse_by_name(name: str, rule: Callable, *args: Any) -> Any:
    try:
        return rule(*args)
    except NotRecordable as error:
        raise RuntimeError(
            f"create_graph: {name} cannot be differentiated twice: {error}"
        ) from error


def _rules_again(node: Node) -> Sequence[Callable]:
    if node.again is not None:
        rule, inputs, static = node.again
        recorded = [
            _linked("input", value, edge) if _is_floating(value) else value
            for value, edge in zip(inputs, node.parents)
        ]
        return _refuse_by_name(node.name, functools.partial(rule, **static), *recorded)[1]
    rebinding = _Rebinding(node)
    assert node.rules is not None
    return [
        rule if parent is None else rebinding.function(rule)
        for parent, rule in zip(node.parents, node.rules)
    ]


def _linked(name: str, value: Any, edge: Any) -> RecordedArray:
    """An array of the forward pass, in its place in the graph."""
    tensor = wrap(value)
    if isinstance(edge, Tensor):
        if edge.array is value:
            return RecordedArray(edge)
        edge = Node(name, (edge,), (lambda g: g,), value)  # its values as they were then
    if edge is not None:
        tensor._node, tensor._requires_grad = edge, True
    return RecordedArray(tensor)


class _Rebinding:
    """Makes functions over RecordedArrays of those that one rule made over arrays."""

    def __init__(self, node: Node):
        self._node = node
        self._done: dict[int, FunctionType] = {}

    def function(self, original: Any) -> FunctionType:
        """The function with another closure; each is made once, so that they can be recursive."""
        if id(original) not in self._done:
            cells = tuple(CellType() for _ in original.__closure__ or ())
            again = FunctionType(
                original.__code__, original.__globals__, original.__name__,
                original.__defaults__, cells,
            )  # fmt: skip
            again.__kwdefaults__ = original.__kwdefaults__
            self._done[id(original)] = again
            code = original.__code__
            for name, cell, old in zip(code.co_freevars, cells, original.__closure__ or ()):
                with contextlib.suppress(ValueError):  # an empty cell: a branch was not taken
                    cell.cell_contents = self._value(name, old.cell_contents, code)
        return self._done[id(original)]

    def _value(self, name: str, value: Any, code: CodeType) -> Any:
        """What a name in the closure of a function stands for, there where it is taken again."""
        if isinstance(value, ModuleType):
            return RecordedModule(value)
        if isinstance(value, FunctionType):
            return self.function(value) if value.__closure__ else value
        if not _is_floating(value) or name in STATIC_OF.get(code, ()):
            return value
        inputs = INPUTS_OF.get(code, ())
        if name == "out":
            return _linked(name, value, self._node)
        if name in inputs:
            return _linked(name, value, self._node.parents[inputs.index(name)])
        raise RuntimeError(
            f"create_graph: {self._node.name} cannot be differentiated twice: its gradient keeps "
            f"`{name}`, which has no place in the graph"
        )


def _is_floating(value: Any) -> bool:
    """Whether this is an array, or a number of an array's type, that could have a gradient."""
    return hasattr(value, "dtype") and hasattr(value, "ndim") and is_floating(value.dtype)
