"""`Variable`, PyTorch's old name for a tensor that takes part in autograd."""

from __future__ import annotations

import warnings
from typing import Any

from dtrain.autograd.tensor import Tensor


class _VariableType(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Tensor)

    def __call__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if volatile:
            if requires_grad:
                raise ValueError("Variable: volatile and requires_grad exclude each other")
            warnings.warn(
                "Variable(volatile=True) has no effect: compute under dtrain.no_grad()",
                stacklevel=2,
            )
        if data is None:
            return Tensor().requires_grad_(requires_grad)
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable: expected a tensor, got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)


class Variable(metaclass=_VariableType):
    """A leaf with the memory of a tensor; every tensor is an instance (torch.autograd.Variable).

    >>> import dtrain
    >>> Variable(dtrain.ones(2), requires_grad=True).is_leaf
    True
    """
