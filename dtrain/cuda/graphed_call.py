"""`GraphedCall`: a function of tensors whose forward and backward pass are CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Protocol

from dtrain.autograd.function import Context, Function
from dtrain.autograd.grad_mode import enable_grad, is_grad_enabled
from dtrain.autograd.gradient import grad
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, kernels
from dtrain.backend.capture import refuse_capture
from dtrain.backend.nested import find_nested, map_nested
from dtrain.cuda.graphs import CUDAGraph, graph
from dtrain.cuda.memory import PrivatePool


class UpdatingLayer(Protocol):
    """A layer whose forward pass queues updates of its buffers (nn.DeferredBufferUpdates)."""

    pending_updates: list[Any] | None

    def update_buffers(self, *update: Any) -> None:
        """Queue the update of one forward pass."""


class GraphMemory:
    """Memory that graphs share of which one at a time is between its forward and backward pass."""

    def __init__(self, pool: PrivatePool | None = None) -> None:
        self.pool: PrivatePool = pool or PrivatePool()
        #: counts the passes: a backward pass belongs to the forward pass just before it
        self.passes: int = 0


class GraphedCall:
    """One call of a function as two CUDA graphs, which repeat it for other values of its tensors.

    Parameters
    ----------
    function : of tensors on the GPU, in any containers, and of other arguments, which stay
    args, kwargs : of the call that is captured; nothing of it runs
    params : tensors that the function uses beside its arguments, and that get gradients
    memory : of the graphs
    layers : whose deferred buffer updates each forward pass queues
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        params: Sequence[Tensor],
        memory: GraphMemory,
        layers: Sequence[UpdatingLayer] = (),
    ):
        self._memory, self._params = memory, list(params)
        self._inputs: list[Tensor] = []
        args, kwargs = map_nested((args, kwargs), Tensor, self._new_input)
        self._forward = CUDAGraph()
        before = [len(layer.pending_updates or ()) for layer in layers]
        with graph(self._forward, memory.pool), enable_grad():
            self._result = function(*args, **kwargs)
        self._updates = [
            (layer, update)
            for layer, count in zip(layers, before)
            for update in _take_from(layer.pending_updates, count)
        ]
        self._outputs = list(find_nested((self._result,), Tensor))
        self._wanted = [t for t in (*self._inputs, *self._params) if t.requires_grad]
        self._capture_backward()
        self._result = map_nested(self._result, Tensor, lambda out: wrap(out.array))
        self._outputs = list(find_nested((self._result,), Tensor))

    def _new_input(self, tensor: Tensor) -> Tensor:
        """The graph's own tensor, to which those of other calls are copied."""
        import cupy

        own = wrap(cupy.empty_like(tensor.array))
        own.array[...] = tensor.array
        self._inputs.append(own.requires_grad_(tensor.requires_grad))
        return own

    def _capture_backward(self) -> None:
        import cupy

        #: which outputs have a gradient
        self.has_gradient: list[bool] = [out.requires_grad for out in self._outputs]
        self._backward: CUDAGraph | None = None
        roots = [out for out in self._outputs if out.requires_grad]
        if not roots:
            return
        self._output_grads = [wrap(cupy.zeros(out.shape, out.dtype)) for out in roots]
        self._backward = CUDAGraph()
        with graph(self._backward, self._memory.pool):
            found = grad(roots, self._wanted, self._output_grads, allow_unused=True)
            self._grads = [
                None if g is None else wrap(cupy.ascontiguousarray(g.array)) for g in found
            ]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result, by the graphs, in memory of its own.

        Raises
        ------
        RuntimeError
            If the tensors are not like those of the captured call.
        """
        refuse_capture("it would contain another graph, that of a graphed call")
        given = list(find_nested((args, kwargs), Tensor))
        shapes, expected = ([(t.shape, t.dtype) for t in ts] for ts in (given, self._inputs))
        if shapes != expected:
            raise RuntimeError(f"graphed call: expected tensors of {expected}, got {shapes}")
        made = iter(_Replay.apply(self, *given, *self._params))
        return map_nested(self._result, Tensor, lambda _: next(made))

    def run_forward(self, given: Sequence[Tensor]) -> tuple[int, list[Tensor]]:
        """Replay the forward pass; its number among the passes, and copies of its outputs."""
        for own, tensor in zip(self._inputs, given):
            if own.array.data.ptr != tensor.array.data.ptr:
                own.array[...] = tensor.array
        self._memory.passes += 1
        self._forward.replay()
        if self._updates:
            self._queue_updates()
        return self._memory.passes, [wrap(out.array.copy()) for out in self._outputs]

    def _queue_updates(self) -> None:
        """Queue the layers' updates of buffers, by copies of the graph's arrays."""
        import cupy

        arrays = [a for _, update in self._updates for a in update if isinstance(a, cupy.ndarray)]
        copies = iter(_copy_together(arrays))
        for layer, update in self._updates:
            layer.update_buffers(
                *(next(copies) if isinstance(a, cupy.ndarray) else a for a in update)
            )

    def run_backward(self, number: int, grads: Sequence[Tensor]) -> list[Tensor | None]:
        """Replay the backward pass; the gradients of the inputs and parameters, which the next one
        overwrites."""
        if number != self._memory.passes:
            raise RuntimeError(
                "CUDA graph: backward() belongs to a forward pass whose values another one has "
                "overwritten: call backward() after each forward pass, and once"
            )
        assert self._backward is not None
        self._memory.passes += 1
        given = (g for g, has in zip(grads, self.has_gradient) if has)
        for own, tensor in zip(self._output_grads, given):
            own.array[...] = tensor.array
        self._backward.replay()
        found = iter(self._grads)
        return [next(found) if t.requires_grad else None for t in (*self._inputs, *self._params)]


class _Replay(Function):
    """A graphed call in the graph of autograd; its inputs are the call, tensors and parameters."""

    @staticmethod
    def forward(ctx: Context, call: GraphedCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        made: Any = ctx
        made.call = call
        made.number, outputs = call.run_forward(tensors)
        without = [out for out, has in zip(outputs, call.has_gradient) if not has]
        ctx.mark_non_differentiable(*without)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if is_grad_enabled():
            raise RuntimeError(
                "CUDA graph: create_graph=True needs the operations of the forward pass, which a "
                "graph does not keep: call the function itself"
            )
        return (None, *ctx.call.run_backward(ctx.number, grads))


def _take_from(updates: list[Any] | None, count: int) -> list[Any]:
    """Remove the updates after the first `count`."""
    if updates is None:
        return []
    taken = updates[count:]
    del updates[count:]
    return taken


def _copy_together(arrays: Sequence[Array]) -> list[Array]:
    """Copies of arrays, by one kernel for each dtype."""
    import cupy

    copies: dict[int, Array] = {}
    for dtype in {array.dtype for array in arrays}:
        of_dtype = [index for index, array in enumerate(arrays) if array.dtype == dtype]
        ends = list(accumulate(arrays[index].size for index in of_dtype))
        starts = [0, *ends[:-1]]
        flat = cupy.empty(ends[-1], dtype)
        kernels.write_parts(flat, [cupy.ascontiguousarray(arrays[i]) for i in of_dtype], starts)
        for index, start, end in zip(of_dtype, starts, ends):
            copies[index] = flat[start:end].reshape(arrays[index].shape)
    return [copies[index] for index in range(len(arrays))]
