"""`backward` and `grad`: start a backward pass from several tensors."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.backward_pass import run_backward
from dtrain.autograd.double_backward import record_vjps
from dtrain.autograd.recorded_array import RecordedArray
from dtrain.autograd.tensor import Tensor, as_tensor, wrap
from dtrain.backend import array_module
from dtrain.backend.profiler import span
from dtrain.backend.tracing import current_tracer, tracers

Observer = Callable[[Sequence[Tensor], Sequence[Tensor]], None]


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.observers: list[weakref.WeakMethod[Observer]] = []


_local = _PerThread()


def observe_backward(method: Observer) -> None:
    """Call a method, held weakly, before each backward pass of this thread, with the tensors that
    the pass begins with, and their gradients."""
    alive = [ref for ref in _local.observers if ref() is not None]
    _local.observers = [*alive, weakref.WeakMethod(method)]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs` (torch.autograd.grad).

    Parameters
    ----------
    grad_outputs : the gradients of the outputs; ones for outputs of one element if None
    retain_graph : keep the saved values for another backward pass; default: create_graph
    create_graph : record the backward pass, so that the gradients can be differentiated
    allow_unused : return None for inputs on which no output depends, instead of raising
    materialize_grads : return zeros for these inputs

    >>> import dtrain
    >>> x = dtrain.tensor(3.0, requires_grad=True)
    >>> (slope,) = grad(x * x * x, x, create_graph=True)
    >>> slope.item(), *grad(slope, x)
    (27.0, tensor(18.))
    """
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is not supported; use backward()")
    if is_grads_batched:
        raise ValueError("grad: is_grads_batched=True is not supported; call grad() for each")
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for index, x in enumerate(inputs):
        if not x.requires_grad:
            raise RuntimeError(
                f"grad: inputs[{index}] does not require grad; call requires_grad_() on it first"
            )
    found = _run(outputs, grad_outputs, retain_graph, create_graph, inputs)
    if materialize_grads:
        return tuple(_zeros_like(x) if g is None else g for x, g in zip(inputs, found))
    unused = [index for index, gradient in enumerate(found) if gradient is None]
    if unused and not allow_unused:
        raise RuntimeError(
            f"grad: no output depends on inputs {unused}; "
            "give allow_unused=True to get None for them"
        )
    return tuple(found)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of the sum of `tensors` to `.grad` of the leaves (torch.autograd.backward).

    If `inputs` is given, to `.grad` of these tensors alone.

    >>> import dtrain
    >>> x = dtrain.tensor(3.0, requires_grad=True)
    >>> backward([x * 2, x * 5])
    >>> x.grad
    tensor(7.)
    """
    if inputs is None:
        _run(tensors, grad_tensors, retain_graph, create_graph, None)
        return
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not wanted:
        raise RuntimeError("backward: `inputs` is empty; omit it to accumulate in all leaves")
    found = _run(tensors, grad_tensors, retain_graph, create_graph, wanted)
    for x, gradient in zip(wanted, found):
        if gradient is not None:
            x.accumulate_grad(RecordedArray(gradient) if create_graph else gradient.array)


Tensor._backward = staticmethod(backward)


def _run(
    outputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None,
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Sequence[Tensor] | None,
) -> list[Tensor | None]:
    """Run the backward pass; returns the gradients of `inputs`, or accumulates in the leaves."""
    tracer = current_tracer() if tracers else None
    if tracer is not None:  # on real arrays, whose dtype and size choose the kernels
        tracer.refuse("it runs a backward pass")
        given = outputs, grad_outputs, retain_graph, create_graph, inputs
        return tracer.call(_run, given, {}, opaque=True)
    roots = _roots(outputs, grad_outputs)
    for ref in _local.observers:
        observer = ref()
        if observer is not None:
            tensors = [outputs] if isinstance(outputs, Tensor) else outputs
            observer(tensors, [seed for _, seed in roots])
    keep = create_graph if retain_graph is None else retain_graph
    with span("backward"):
        edges = None if inputs is None else [x._graph_edge() for x in inputs]
        if create_graph:
            recorded = [(edge, RecordedArray(seed)) for edge, seed in roots]
            with grad_mode.enable_grad():
                found = run_backward(recorded, keep, edges, record_vjps)
        else:
            found = run_backward([(edge, seed.array) for edge, seed in roots], keep, edges)
        return [None if gradient is None else as_tensor(gradient) for gradient in found]


def _roots(
    outputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None,
) -> list[tuple[Any, Tensor]]:
    """(Node or leaf, gradient) of each output, with which the backward pass begins."""
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    seeds: Sequence[Tensor | None]
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        seeds = [grad_outputs] * len(outputs)
    else:
        seeds = grad_outputs
    if len(seeds) != len(outputs):
        raise RuntimeError(
            f"expected {len(outputs)} gradients, one for each tensor, got {len(seeds)}"
        )
    return [(_root(out), _seed(out, seed)) for out, seed in zip(outputs, seeds)]


def _root(output: Tensor) -> Any:
    """The Node that made an output, or the output itself if it is a leaf."""
    edge = output._graph_edge()
    if edge is None:
        raise RuntimeError(
            "backward: this tensor does not require grad and was not made from one that does"
        )
    return edge


def _seed(output: Tensor, gradient: Tensor | None) -> Tensor:
    """The given gradient of an output, checked, or one for an output of one element."""
    if gradient is not None:
        given, expected = gradient.array, output.array
        if (
            type(given) is np.ndarray is type(expected)
            and given.shape == expected.shape
            and given.dtype is expected.dtype
        ):
            return gradient
    if gradient is None:
        if output.numel() != 1:
            raise RuntimeError(
                "backward: grad can be implicitly created only for scalar outputs, this "
                f"tensor has shape {output.shape}; reduce it, or give backward(gradient=...)"
            )
        if output.is_complex():
            raise RuntimeError(
                "backward: grad can be implicitly created only for real scalar outputs, this "
                f"tensor has dtype {output.dtype}; take real or abs, or give "
                "backward(gradient=...)"
            )
        return wrap(array_module(output.array).ones_like(output.array))
    if gradient.shape != output.shape:
        raise RuntimeError(
            f"backward: expected a gradient of shape {output.shape}, got {gradient.shape}"
        )
    if gradient.is_complex() and not output.is_complex():
        raise RuntimeError(
            f"backward: expected a gradient of dtype {output.dtype}, got {gradient.dtype}"
        )
    if gradient.device != output.device:
        raise RuntimeError(
            f"backward: expected a gradient on {output.device}, got one on {gradient.device}"
        )
    return gradient


def _zeros_like(x: Tensor) -> Tensor:
    return wrap(array_module(x.array).zeros_like(x.array))
