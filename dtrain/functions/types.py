"""What a tensor is: its dtype by PyTorch's old names, and questions with a plain answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import dtypes
from dtrain.backend.dtypes import DTypeLike
from dtrain.backend.size import Size
from dtrain.functions import creation
from dtrain.functions.operands import result_dtype, to
from dtrain.primitives import casts

#: The dtype of each of PyTorch's old types of tensors.
TYPES = {
    "BFloat16Tensor": "bfloat16",
    "BoolTensor": "bool_",
    "ByteTensor": "uint8",
    "CharTensor": "int8",
    "DoubleTensor": "float64",
    "FloatTensor": "float32",
    "HalfTensor": "float16",
    "IntTensor": "int32",
    "LongTensor": "int64",
    "ShortTensor": "int16",
}


def make_type_constructor(name: str) -> Any:
    """`Tensor(...)` of a dtype of its own, such as LongTensor([1, 2]) or FloatTensor(2, 3)."""

    def make(*data: Any) -> Tensor:
        dtype = getattr(dtypes, TYPES[name])
        if len(data) == 1 and not isinstance(data[0], (int, Size)):
            return creation.tensor(data[0], dtype=dtype)
        return creation.empty(*data, dtype=dtype) if data else creation.empty(0, dtype=dtype)

    make.__name__ = name
    make.__doc__ = f"A tensor of dtype {TYPES[name].rstrip('_')} of lists or sizes (torch.{name})."
    return make


def type_(self: Tensor, dtype: DTypeLike = None, non_blocking: bool = False) -> Any:
    """The old name of the tensor's type, or the tensor in another dtype (torch.Tensor.type)."""
    if dtype is None:
        own = "bool_" if self.dtype == "bool" else str(self.dtype)
        return next(f"torch.{name}" for name, d in TYPES.items() if d == own)
    name = getattr(dtype, "__name__", dtype)
    if isinstance(name, str) and name.rpartition(".")[2] in TYPES:
        dtype = getattr(dtypes, TYPES[name.rpartition(".")[2]])
    return to(self, dtype)


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
    """False: there are no complex numbers (torch.is_complex)."""
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
