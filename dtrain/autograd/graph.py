"""The graph of recorded operations: its nodes.

Nodes refer to nodes and to leaf tensors. Only the vjps keep arrays alive, so an array that no vjp
needs is freed during the forward pass.
"""

from __future__ import annotations

import itertools
import operator
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.anomaly import call_stack, state as anomaly
from dtrain.autograd.primitive import VJP, Primitive
from dtrain.autograd.refusals import refuse_freed, refuse_modified
from dtrain.backend import Array

#: the `order` of the next node
node_order = itertools.count()


class Node:
    """One recorded operation, which maps the gradient of its output to those of its inputs.

    primitive : the Primitive that was run, or the name of an operation that is no Primitive
    parents : for each input the Node that made it, the input itself if it is a leaf, or None
    vjps : the vector-Jacobian products, one for each input; None once they are freed
    saved : for each value that a vjp keeps (its index, its version counter, its version at the time
        of the forward pass); None for a value that is no Tensor
    call : (function, arrays, static arguments) if double backward runs the primitive again
    stack : the lines that called the operation, in anomaly mode
    """

    #: whether `take_vjps` returns the gradients of the parents themselves, one after the other
    yields_parts = False
    hooks: list[Callable[..., Any]] | None = None
    saved: Sequence[tuple[int, list[int], int] | None] = ()
    stack: traceback.StackSummary | None = None
    call: Iterable[Any] | None = None

    def __init__(
        self,
        primitive: Primitive | str,
        parents: Sequence[Any],
        vjps: Sequence[Callable[..., Any]],
        out: Array,
    ):
        self.primitive = primitive
        self.parents = parents
        self.vjps: Iterable[Callable[..., Any]] | None = vjps
        self.shape: tuple[int, ...] = out.shape
        self.dtype: np.dtype = out.dtype
        self.order: float = next(node_order)
        if anomaly.enabled:
            self.stack = call_stack()

    @property
    def name(self) -> str:
        """The name of the operation."""
        return self.primitive if isinstance(self.primitive, str) else self.primitive.name

    def __repr__(self) -> str:
        return f"<{self.name} backward>"

    def expand(self) -> Any:
        """Replace a parent of several operations by the nodes of these."""

    def take_parts(
        self, grad: Array, keep: bool, memory: Sequence[Array | None]
    ) -> Iterable[Array | None]:  # fmt: skip
        """Of a node that yields parts the gradient of each parent in turn, in the memory that is
        given for it if it fits."""
        raise AssertionError(f"{self.name} yields no parts")

    def take_vjps(
        self, grad: Array, keep: bool, record_vjps: Callable[[Node], Iterable[VJP]] | None
    ) -> Iterable[VJP]:
        """Return the vjps after checking the versions of saved values; frees them unless `keep`.

        `record_vjps` returns vjps that are recorded themselves (double backward).
        """
        vjps = self.vjps
        if vjps is None:
            refuse_freed(self.name)
        for saved in self.saved:
            if saved is not None and saved[1][0] != saved[2]:
                self._refuse_modified(vjps, saved, record_vjps is not None)
        if record_vjps is not None:
            vjps = record_vjps(self)
        if not keep:
            self.vjps = None
            if self.call is not None:
                self.call = None
        return vjps

    def _refuse_modified(
        self, vjps: Iterable[VJP], saved: tuple[int, list[int], int], double_backward: bool
    ) -> None:
        """Raise if a wanted gradient needs a value that was modified in place.

        Double backward that runs the primitive again needs all inputs.
        """
        index, (now,), then = saved
        assert not isinstance(self.primitive, str)
        wanted = [vjp for parent, vjp in zip(self.parents, vjps) if parent is not None]
        inputs = None if self.call is None else list(self.call)[1]
        runs_again = double_backward and inputs is not None
        if runs_again or self.primitive.keeps(index, wanted, inputs):
            refuse_modified(self.name, self.primitive.value_name(index), now, then)


def now() -> int:
    """An `order` between those of existing nodes and of nodes made later."""
    return next(node_order)


def nodes_since(start: int, edges: Sequence[Node]) -> list[Node]:
    """The nodes reachable from `edges` that were made after `start`, oldest first."""
    seen: dict[int, Node] = {}
    new = [edge for edge in edges if edge.order > start]
    while new:
        node = new.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            new.extend(p for p in node.parents if isinstance(p, Node) and p.order > start)
    return sorted(seen.values(), key=operator.attrgetter("order"))
