"""`GraphedForward`: a model whose passes run as CUDA graphs, two for each kind of call."""

from __future__ import annotations

import warnings
from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.autocast_mode import get_mode
from dtrain.backend import is_cupy
from dtrain.backend.settings import get_float32_matmul_precision
from dtrain.cuda.graphed_call import GraphedCall, GraphMemory
from dtrain.cuda.graphed_callables import require_no_hooks
from dtrain.nn import Module
from dtrain.nn.deferred_updates import DeferredBufferUpdates

#: The calls of one kind before it is captured: they compile kernels, and graphs of dtrain.compile.
_WARMUPS = 3
#: How many kinds of calls are captured; others run without graphs.
_MOST_GRAPHS = 16
_PLAIN = int, float, bool, str, type(None)


class GraphedForward:
    """Runs a model's calls with gradients as CUDA graphs.

    A kind of call has the same arguments but for the values of tensors, and the model's parameters
    in the same memory, its parts in the same training modes. The first three calls of a kind run
    without a graph. All have the same bits.
    """

    def __init__(self) -> None:
        self._calls: dict[Any, int] = {}
        self._graphs: dict[Any, GraphedCall] = {}
        self._memory: GraphMemory | None = None

    def __call__(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The model's output."""
        kind = _kind(module, args, kwargs)
        if kind is None:
            return module(*args, **kwargs)
        graphed = self._graphs.get(kind)
        if graphed is None:
            calls = self._calls[kind] = self._calls.get(kind, 0) + 1
            if calls <= _WARMUPS or self._is_full():
                return module(*args, **kwargs)
            graphed = self._graphs[kind] = self._capture(module, args, kwargs)
        return graphed(*args, **kwargs)

    def _is_full(self) -> bool:
        if len(self._graphs) < _MOST_GRAPHS:
            return False
        warnings.warn(
            f"DataParallel(cuda_graph=True): calls of {_MOST_GRAPHS} kinds have graphs; those of "
            "further shapes or arguments run without: pad the batches to a few sizes",
            stacklevel=6,
        )
        return True

    def _capture(
        self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> GraphedCall:
        require_no_hooks(module)
        if self._memory is None:
            self._memory = GraphMemory()
        params = [param for param in module.parameters() if param.requires_grad]
        layers = [m for m in module.modules() if isinstance(m, DeferredBufferUpdates)]
        return GraphedCall(module, args, kwargs, params, self._memory, layers)


def _kind(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a captured call and another one must have alike; None where it cannot be said."""
    described = _describe((args, kwargs))
    tensors = [*module.parameters(), *module.buffers()]
    if described is None or not all(is_cupy(tensor.array) for tensor in tensors):
        return None
    memory = [(tensor.array.data.ptr, tensor.requires_grad) for tensor in tensors]
    modes = [part.training for part in module.modules()]
    settings = get_mode(), get_float32_matmul_precision()
    return id(module), described, tuple(memory), tuple(modes), settings


def _describe(value: Any) -> Any:
    """An argument but for the values of tensors; None if it has others than tensors on a GPU and
    plain values."""
    if isinstance(value, Tensor):
        array = value.array
        if not is_cupy(array):
            return None
        return array.shape, array.strides, array.dtype, array.device.id, value.requires_grad
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, dict):
        items = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple)):
        items = list(value)
    else:
        return None
    described = tuple(map(_describe, items))
    return None if None in described else (type(value), described)


def require_gpu(module: Module, by: str) -> None:
    """Refuse a model that is not on a GPU, which alone has CUDA graphs."""
    for name, param in module.named_parameters():
        if not is_cupy(param.array):
            raise ValueError(
                f"{by}: cuda_graph=True is for models on a GPU, but {name} is on {param.device}: "
                "call .to('cuda') first"
            )
