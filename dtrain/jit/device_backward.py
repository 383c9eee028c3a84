"""The backward function of a segment on a GPU: gradients are added in few launches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dtrain.autograd.fused_node import Backward
from dtrain.autograd.gradient_array import convert, sum_to
from dtrain.autograd.output_grads import OutputGrads
from dtrain.autograd.sliced_gradient import SlicedGradient, add_on_device, add_slice
from dtrain.backend import Array
from dtrain.jit.backward_code import differentiated_arguments
from dtrain.jit.graph import Call, Graph, Value
from dtrain.jit.segments import primitive_of


def make_device_backward(
    graph: Graph, calls: Sequence[Call], outputs: Sequence[int], known: set[int]
) -> Callable[[tuple[int, ...]], Backward]:
    """Makes the backward functions for gradients of some of the outputs.

    calls : the differentiated ones, in order; known : the differentiated values
    """
    values, made = graph.values, {call.outputs[0][1] for call in calls}
    work = [
        (index, call.outputs[0][1], primitive_of(call).adds, differentiated_arguments(call, known))
        for index, call in reversed(list(enumerate(calls)))
    ]

    def for_outputs(given: tuple[int, ...]) -> Backward:
        def backward(
            saved: list[Any], grads: OutputGrads, keep: bool, memory: Sequence[Array | None]
        ) -> Iterator[Array | None]:
            pending = _PendingGradients()
            for n in given:
                pending.put(values[outputs[n]], grads[n])
            del grads
            for index, output, adds, arguments in work:
                grad, vjps = pending.take(values[output]), saved[index]
                if not keep:
                    saved[index] = None
                for n, value in arguments:
                    if value not in made:
                        yield None if grad is None else vjps[n](grad)
                    elif grad is not None:
                        pending.add(values[value], vjps[n], grad, adds)

        return backward

    return for_outputs


class _PendingGradients:
    """Gradients of values whose uses have not all been visited, added as by `run_backward`."""

    def __init__(self) -> None:
        self._grads: dict[int, Any] = {}  # arrays, or SlicedGradients
        self._summed: set[int] = set()  # those in arrays of their own

    def put(self, value: Value, grad: Array) -> None:
        """Begin with a gradient that belongs to somebody else."""
        self._grads[id(value)] = grad

    def take(self, value: Value) -> Array | None:
        """The complete gradient of a value, if it has one."""
        grad = self._grads.pop(id(value), None)
        return grad.whole() if type(grad) is SlicedGradient else grad

    def add(self, value: Value, vjp: Any, grad: Array, adds: bool) -> None:
        """Add what a vjp gives; `adds` : of the primitive, it may be the vjp of a slice."""
        key = id(value)
        if adds and add_slice(value, vjp, grad, self._grads):
            return
        if type(self._grads.get(key)) is SlicedGradient:
            self._grads[key] = self._grads[key].whole()
            self._summed.discard(key)
        if not add_on_device(value, vjp, grad, self._grads, self._summed):
            self._add_whole(value, vjp(grad))

    def _add_whole(self, value: Value, part: Array) -> None:
        key = id(value)
        if part.shape != value.shape:
            part = sum_to(part, value.shape)
        if value.dtype is not None and part.dtype != value.dtype:
            part = convert(part, value.dtype)
        if key not in self._grads:
            self._grads[key] = part
        elif key in self._summed:
            self._grads[key] += part
        else:
            self._grads[key] = self._grads[key] + part
            self._summed.add(key)
