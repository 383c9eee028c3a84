"""What a tensor is: its type by PyTorch's old names, and questions with a plain answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import dtypes
from dtrain.backend.dtypes import DTypeLike
from dtrain.functions.operands import result_dtype, to
from dtrain.functions.tensor_types import TYPES, find_type
from dtrain.primitives import casts


def type_(self: Tensor, dtype: DTypeLike = None, non_blocking: bool = False) -> Any:
    """The old name of the tensor's type, or the tensor in another dtype (torch.Tensor.type)."""
    if dtype is None:
        own = "bool_" if self.dtype.kind == "b" else str(self.dtype)
        name = next(name for name, d in TYPES.items() if d == own)
        return f"torch.{'cuda.' * self.is_cuda}{name}"
    kind = find_type(dtype)
    if kind is None:
        return to(self, dtype)
    return to(self, kind.dtype, device="cuda" if kind.is_cuda else "cpu")


def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype of an operation between two tensors or numbers (torch.result_type)."""
    if isinstance(tensor1, Tensor):
        return result_dtype(tensor1, tensor2)
    if isinstance(tensor2, Tensor):
        return result_dtype(tensor2, tensor1)
    return dtypes.promote(dtypes.scalar_dtype(tensor1), dtypes.scalar_dtype(tensor2))


def is_tensor(obj: Any) -> bool:
    """Whether it is a tensor (torch.is_tensor)."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a floating one (torch.is_floating_point)."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex64 or complex128 (torch.is_complex)."""
    return input.is_complex()


def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero (torch.is_nonzero)."""
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are equal (torch.is_same_size)."""
    return input.shape == other.shape


def numel(input: Tensor) -> int:
    """The number of elements (torch.numel)."""
    return input.numel()


def fill(input: Tensor, value: Any) -> Tensor:
    """A copy of the tensor with one value everywhere (torch.fill)."""
    return casts.clone(input).fill_(value)
