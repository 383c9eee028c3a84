"""`Parameter`, a tensor that a Module trains, and `Buffer`, one that it keeps."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import _initialize
from dtrain.backend import Array


def _array_of(data: Any) -> Array:
    return data.array if isinstance(data, Tensor) else Tensor(data).array


class Buffer(Tensor):
    """A tensor that a Module lists among its buffers; shares the memory of `data`
    (torch.nn.Buffer).

    A `persistent` one is in the Module's state_dict.

    >>> import dtrain
    >>> model = dtrain.nn.Module()
    >>> model.seen = Buffer(dtrain.zeros(2))
    >>> [name for name, _ in model.named_buffers()]
    ['seen']
    """

    def __init__(self, data: Any = None, *, persistent: bool = True):
        _initialize(self, _array_of([] if data is None else data))
        self.persistent = persistent


class Parameter(Tensor):
    """A leaf tensor that a Module lists among its parameters; shares the memory of `data`.

    >>> import dtrain
    >>> Parameter(dtrain.zeros(2)).requires_grad
    True
    """

    def __init__(self, data: Any, requires_grad: bool = True):
        _initialize(self, _array_of(data))
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
