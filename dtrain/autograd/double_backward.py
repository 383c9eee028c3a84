"""The vjps of a recorded operation once more, over Tensors (create_graph=True).

What a vjp keeps of the forward pass is in its closure: an input, the output, or what depends on
neither; `Primitive` knows which variable is which. So each vjp is made again with a closure in
which inputs and output are linked to the graph, and the array module is dtrain's operations.

A primitive whose vjps keep more is run again, on its inputs linked to the graph.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from dtrain.autograd.graph import Node
from dtrain.autograd.primitive import OUTPUT, STATIC, VJP, is_inexact_array
from dtrain.autograd.recorded_array import NotRecordable, RecordedArray, RecordedModule
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array


def record_vjps(node: Node) -> Sequence[VJP]:
    """The vjps of a node, over RecordedArrays."""
    return [
        vjp if parent is None else functools.partial(_run_by_name, node.name, vjp)
        for parent, vjp in zip(node.parents, _vjps_over_tensors(node))
    ]


def _run_by_name(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`; what it cannot record is refused by the name of the operation."""
    try:
        return function(*args)
    except NotRecordable as error:
        raise RuntimeError(
            f"create_graph: {name} cannot be differentiated twice: {error}"
        ) from error


def _vjps_over_tensors(node: Node) -> Sequence[VJP]:
    if node.call is not None:
        function, inputs, static = node.call
        recorded = [
            RecordedArray(link_array("input", value, edge)) if is_inexact_array(value) else value
            for value, edge in zip(inputs, node.parents)
        ]
        return _run_by_name(node.name, functools.partial(function, **static), *recorded)[1]
    rebinding = _Rebinding(node)
    assert node.vjps is not None
    return [
        vjp if parent is None else rebinding.function(vjp)
        for parent, vjp in zip(node.parents, node.vjps)
    ]


def link_array(name: str, value: Array, edge: Any, order: float | None = None) -> Tensor:
    """An array of the forward pass as a Tensor that has `edge` in the graph.

    Parameters
    ----------
    name, order : of a node that is made for a leaf whose values have changed since
    """
    if isinstance(edge, Tensor):
        if edge.array is value:
            return edge
        edge = Node(name, (edge,), (lambda g: g,), value)
        if order is not None:
            edge.order = order
    tensor = wrap(value)
    if edge is not None:
        tensor._node, tensor._requires_grad = edge, True
    return tensor


class _Rebinding:
    """Makes functions over RecordedArrays of those that a primitive made over arrays."""

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
        """The value for a variable in the closure of a function that is made again."""
        if isinstance(value, ModuleType):
            return RecordedModule(value)
        if isinstance(value, FunctionType):
            return self.function(value) if value.__closure__ else value
        if not is_inexact_array(value):
            return value
        node = self._node
        known = {} if isinstance(node.primitive, str) else node.primitive.places
        place = known.get((code, name))
        if place == STATIC:
            return value
        if place == OUTPUT and value.shape == node.shape:
            return RecordedArray(link_array(name, value, node))
        if place is not None and place != OUTPUT:
            return RecordedArray(link_array(name, value, node.parents[place]))
        raise RuntimeError(
            f"create_graph: {node.name} cannot be differentiated twice: its gradient keeps "
            f"`{name}`, which has no place in the graph"
        )
