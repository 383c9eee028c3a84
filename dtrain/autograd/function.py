"""`Function`: operations of a user's own, with a forward and a backward over Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd import grad_mode
from dtrain.autograd.gradient_array import conjugate
from dtrain.autograd.graph import Node
from dtrain.autograd.output_grads import OutputGrads
from dtrain.autograd.recorded_array import RecordedArray
from dtrain.autograd.tensor import Tensor, as_tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.backend.tracing import current_tracer, tracers


class Context:
    """What `forward` hands to `backward`: saved tensors, and any attribute set on it."""

    def __init__(self, needs_input_grad: tuple[bool, ...]):
        self.needs_input_grad = needs_input_grad
        self._saved: list[tuple[Tensor, int] | None] | None = []
        self._non_differentiable: set[int] = set()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`; one that is modified before then is an error there."""
        self._saved = [None if t is None else (t, t._version[0]) for t in tensors]

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that these outputs have no gradient."""
        self._non_differentiable.update(id(t) for t in tensors)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors of `save_for_backward`."""
        if self._saved is None:
            raise RuntimeError(
                "backward: the saved tensors were freed by an earlier backward pass; to go "
                "through this graph again, call backward(retain_graph=True) first"
            )
        for saved in self._saved:
            if saved is not None and saved[0]._version[0] != saved[1]:
                raise RuntimeError(
                    "backward: a tensor given to save_for_backward was modified by an in-place "
                    "operation since; write to a clone() instead"
                )
        return tuple(None if saved is None else saved[0] for saved in self._saved)


class Function:
    """A differentiable operation with static methods `forward` and `backward`.

    Mirrors torch.autograd.Function: ``forward(ctx, *inputs)``, or ``forward(*inputs)`` with
    ``setup_context(ctx, inputs, output)``; ``backward(ctx, *grad_outputs)`` returns one gradient,
    or None, for each input. Call it through ``apply``.

    >>> import dtrain
    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * grad
    >>> x = dtrain.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a Function must have a static method forward")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError("a Function must have a static method backward")

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        """Run `forward`, and record it if an input wants a gradient."""
        if tracers and (tracer := current_tracer()) is not None:
            return tracer.call(cls.apply, inputs, {}, cls.__name__, opaque=True)
        edges = [x._graph_edge() if isinstance(x, Tensor) else None for x in inputs]
        ctx = Context(tuple(edge is not None for edge in edges))
        recorded = grad_mode.is_grad_enabled() and any(ctx.needs_input_grad)
        with grad_mode.no_grad():
            if hasattr(cls, "setup_context"):
                outputs = cls.forward(*inputs)
                cls.setup_context(ctx, inputs, outputs)
            else:
                outputs = cls.forward(ctx, *inputs)
        if not recorded:
            return outputs
        single = not isinstance(outputs, tuple)
        given = (outputs,) if single else outputs
        results = [_alias(out) if any(out is x for x in inputs) else out for out in given]
        node = _FunctionNode(cls, ctx, edges, results)
        for index, out in enumerate(results):
            if isinstance(out, Tensor) and id(given[index]) not in ctx._non_differentiable:
                out._node = Node(f"{cls.__name__}[{index}]", (node,), (node.slot(index),), out)
                out._requires_grad = True
        return results[0] if single else tuple(results)


def _always(array: Array, grad: Any) -> Array:
    """The vjp of an input whose gradient is already computed."""
    return array


def _alias(tensor: Tensor) -> Tensor:
    """An input that is returned as an output is another tensor with the same memory."""
    out = wrap(tensor.array)
    out._version = tensor._version
    return out


class _FunctionNode(Node):
    """Calls a Function's backward."""

    __slots__ = ("ctx", "function", "output_likes")

    def __init__(
        self, function: type[Function], ctx: Context, parents: Sequence[Any], outputs: list[Any]
    ):
        super().__init__(function.__name__, parents, (), OutputGrads())
        self.function = function
        self.ctx = ctx
        self.output_likes = [
            (array_module(out.array), out.shape, out.dtype) if isinstance(out, Tensor) else None
            for out in outputs
        ]

    def slot(self, index: int) -> Any:
        return lambda grad: OutputGrads({index: grad})

    def take_vjps(
        self, grad: Any, keep: bool, record_vjps: Callable[..., Any] | None
    ) -> list[Callable[[Any], Array | None]]:
        grads = [
            None
            if like is None
            else as_tensor(conjugate(grad[i]))
            if i in grad
            else wrap(like[0].zeros(*like[1:]))
            for i, like in enumerate(self.output_likes)
        ]
        with grad_mode.set_grad_enabled(record_vjps is not None):
            returned = self.function.backward(self.ctx, *grads)
        if not keep:
            self.ctx._saved = None
        parts = list(returned) if isinstance(returned, tuple) else [returned]
        surplus = parts[len(self.parents) :]
        if len(parts) < len(self.parents) or any(part is not None for part in surplus):
            raise RuntimeError(
                f"{self.name}.backward: expected {len(self.parents)} gradients, one for each "
                f"input of forward, got {len(parts)}"
            )
        vjps: list[Callable[[Any], Array | None]] = []
        for index, (parent, part) in enumerate(zip(self.parents, parts)):
            if parent is None or part is None:
                vjps.append(lambda grad: None)
                continue
            if not isinstance(part, Tensor):
                raise TypeError(
                    f"{self.name}.backward: expected a Tensor or None as gradient {index}, "
                    f"got {type(part).__name__}"
                )
            array = part.array if record_vjps is None else RecordedArray(part)
            vjps.append(functools.partial(_always, conjugate(array)))
        return vjps
