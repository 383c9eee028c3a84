"""`FusedNode`: several recorded operations as one node, which a compiled graph makes.

Its backward pass is one function that runs the vjps of the operations, in the order and with the
additions of `run_backward`. Where more is asked than gradients (create_graph), the node is replaced
by the nodes of its operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.double_backward import link_array
from dtrain.autograd.graph import Node
from dtrain.autograd.output_grads import OutputGrads
from dtrain.autograd.primitive import Primitive
from dtrain.autograd.refusals import refuse_freed, refuse_modified
from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array

#: (what each operation saved, OutputGrads, whether to keep that, for each parent memory for its
#: gradient, or None) -> for each parent in turn its gradient, or None
Backward: TypeAlias = Callable[
    [list[Any], OutputGrads, bool, Sequence[Array | None]], Iterator[Array | None]
]


@dataclass(frozen=True)
class FusedOperation:
    """One operation of a `FusedPlan`.

    kept_name : (what the operation saved, array) -> the name of the value that shares memory with
        the array; None if there is none
    """

    primitive: Primitive
    kept_name: Callable[[Any, Array], str | None]


@dataclass(frozen=True)
class FusedPlan:
    """What is the same in all runs of a sequence of operations.

    operations : those that are differentiated, in order
    targets : for each gradient in the order of the backward pass, the index of its input
    backward : the backward function for gradients of these outputs
    reached : the operations, by index, that these outputs come from
    rerun : runs the operations one by one, on input Tensors and arrays that are no Tensors of the
        graph; returns the Tensor of each operation and those that are outputs
    """

    operations: Sequence[FusedOperation]
    targets: Sequence[int]
    backward: Callable[[tuple[int, ...]], Backward]
    reached: Callable[[tuple[int, ...]], Sequence[int]]
    rerun: Callable[[Sequence[Tensor], Sequence[Any]], tuple[list[Tensor], list[Tensor]]]


class FusedNode(Node):
    """The operations of a `FusedPlan` in one run.

    Parameters
    ----------
    inputs, edges : the Tensors that the operations take from outside, and their graph edges
    saved : of each operation what the backward function takes: arrays, or its vjps
    extras : arrays and numbers that operations take besides
    """

    yields_parts = True

    def __init__(
        self, plan: FusedPlan, inputs: Sequence[Tensor], edges: Sequence[Any], saved: list[Any],
        extras: Sequence[Any],
    ):  # fmt: skip
        parents = [edges[i] for i in plan.targets]
        super().__init__(plan.operations[-1].primitive, parents, (), OutputGrads())
        self._all_saved: list[Any] | None = saved
        self._plan = plan
        self._edges = edges
        self._extras = extras
        self._arrays = [x.array for x in inputs]
        self._versions = [x._version for x in inputs]
        self._then = [version[0] for version in self._versions]
        self._expanded: list[Node | None] | None = None

    def add_output(self, tensor: Tensor, index: int, primitive: Primitive) -> None:
        """Make a Tensor an output, which `primitive` computed."""
        tensor._node = FusedOutput(self, index, primitive, tensor.array)
        tensor._requires_grad = True
        self._arrays.append(tensor.array)
        self._versions.append(tensor._version)
        self._then.append(0)

    def take_vjps(self, grad: Any, keep: bool, record_vjps: Any) -> Any:
        """The gradient of each parent in turn, instead of vjps."""
        return self.take_parts(grad, keep, [None] * len(self.parents))

    def take_parts(self, grad: Any, keep: bool, memory: Sequence[Array | None]) -> Any:
        """The gradient of each parent in turn, in the memory that is given for it if it fits."""
        given = tuple(sorted(grad))
        saved = self._check_saved(given)
        if not keep:
            self._all_saved = None
            self._arrays, self._extras = [], ()
        return self._plan.backward(given)(saved, grad, keep, memory)

    def _check_saved(self, outputs: tuple[int, ...]) -> list[Any]:
        """What was saved; raises if it was freed, or if the operations that these outputs come
        from saved a value that was modified in place."""
        if self._all_saved is None:
            refuse_freed(self.name)
        if [version[0] for version in self._versions] != self._then:
            for index in self._plan.reached(outputs):
                operation, saved = self._plan.operations[index], self._all_saved[index]
                for array, (now,), then in zip(self._arrays, self._versions, self._then):
                    name = operation.kept_name(saved, array) if now != then else None
                    if name is not None:
                        refuse_modified(operation.primitive.name, name, now, then)
        return self._all_saved

    def expand_output(self, output: int) -> Node | None:
        """The node that makes an output, of operations that are recorded one by one."""
        self._check_saved((output,))
        if self._expanded is None:
            given = zip(self._arrays, self._edges)
            inputs = [link_array("input", array, edge, self.order) for array, edge in given]
            with grad_mode.enable_grad(), np.errstate(all="ignore"):
                made, outputs = self._plan.rerun(inputs, self._extras)
            for index, tensor in enumerate(made):  # between the orders of this node and the next
                if tensor._node is not None:
                    tensor._node.order = self.order + (index + 1) / (len(made) + 1)
            self._expanded = [tensor._node for tensor in outputs]
        return self._expanded[output]


class FusedOutput(Node):
    """The node of one output of a FusedNode."""

    def __init__(self, node: FusedNode, index: int, primitive: Primitive, out: Array):
        super().__init__(primitive, (node,), (), out)
        self.vjps = (lambda grad: OutputGrads({index: grad}),)
        self._index = index

    def expand(self) -> None:
        """Have the operations of the FusedNode as parents instead of it."""
        (parent,) = self.parents
        if isinstance(parent, FusedNode):
            self.parents = (parent.expand_output(self._index),)
            self.primitive, self.vjps = self.name, (_same,)


def _same(grad: Any) -> Any:
    return grad
