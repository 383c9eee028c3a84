"""`Parameter`: a tensor that a Module trains (torch.nn.Parameter)."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import _initialize


class Parameter(Tensor):
    """A leaf tensor that a Module lists among its parameters; shares the memory of `data`.

    >>> import dtrain
    >>> Parameter(dtrain.zeros(2)).requires_grad
    True
    """

    def __init__(self, data: Any, requires_grad: bool = True):
        array = data._array if isinstance(data, Tensor) else Tensor(data)._array
        _initialize(self, array)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
