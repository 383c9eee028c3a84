"""`Parameter`, a trained tensor of a module, and `Buffer`, a tensor of its other state."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import _initialize
from dtrain.backend import Array


def _get_array(data: Any) -> Array:
    return data.array if isinstance(data, Tensor) else Tensor(data).array


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when assigned; shares the memory of `data`
    (torch.nn.Buffer).

    state_dict contains persistent buffers only.

    >>> import dtrain
    >>> model = dtrain.nn.Module()
    >>> model.seen = Buffer(dtrain.zeros(2))
    >>> [name for name, _ in model.named_buffers()]
    ['seen']
    """

    def __init__(self, data: Any = None, *, persistent: bool = True):
        _initialize(self, _get_array([] if data is None else data))
        self.persistent = persistent


class Parameter(Tensor):
    """A leaf tensor that a module registers as a parameter when assigned; shares the memory of
    `data` (torch.nn.Parameter).

    >>> import dtrain
    >>> Parameter(dtrain.zeros(2)).requires_grad
    True
    """

    def __init__(self, data: Any, requires_grad: bool = True):
        _initialize(self, _get_array(data))
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
