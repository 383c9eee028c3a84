"""`backward` and `grad`: gradients of several tensors, accumulated in leaves or as results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd.graph import run_backward
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` by `inputs`, accumulated nowhere (torch.autograd.grad).

    >>> import dtrain
    >>> x = dtrain.tensor(3.0, requires_grad=True)
    >>> grad(x * x, x)
    (tensor(6.),)
    """
    roots = _roots(outputs, grad_outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for index, x in enumerate(inputs):
        if not x.requires_grad:
            raise RuntimeError(f"grad: inputs[{index}] does not require grad")
    edges = [x._graph_edge() for x in inputs]
    found = run_backward(roots, retain_graph, wanted=edges)
    if not allow_unused and any(array is None for array in found):
        unused = [index for index, array in enumerate(found) if array is None]
        raise RuntimeError(
            f"grad: inputs {unused} were not used to make the outputs; "
            "give allow_unused=True to get None for them"
        )
    return tuple(None if array is None else wrap(array) for array in found)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool = False,
) -> None:
    """Add the gradients of several tensors to `grad` of the leaves (torch.autograd.backward).

    >>> import dtrain
    >>> x = dtrain.tensor(3.0, requires_grad=True)
    >>> backward([x * 2, x * 5])
    >>> x.grad
    tensor(7.)
    """
    run_backward(_roots(tensors, grad_tensors), retain_graph)


def _roots(
    outputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None,
) -> list[tuple[Any, Array]]:
    """Where a backward pass begins, and with which gradients."""
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    seeds: Sequence[Tensor | None]
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        seeds = [grad_outputs] * len(outputs)
    else:
        seeds = grad_outputs
    if len(seeds) != len(outputs):
        raise RuntimeError(f"expected {len(outputs)} gradients, one a tensor, got {len(seeds)}")
    return [(out._root(), out._seed(seed)) for out, seed in zip(outputs, seeds)]
