"""PyTorch's old types of tensors: `FloatTensor`, `cuda.LongTensor` and the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import dtypes
from dtrain.backend.device import set_default_device
from dtrain.backend.size import Size
from dtrain.functions import creation

#: The dtype of each of PyTorch's old types of tensors.
TYPES = {
    "BFloat16Tensor": "bfloat16",
    "BoolTensor": "bool_",
    "ByteTensor": "uint8",
    "CharTensor": "int8",
    "ComplexDoubleTensor": "complex128",
    "ComplexFloatTensor": "complex64",
    "DoubleTensor": "float64",
    "FloatTensor": "float32",
    "HalfTensor": "float16",
    "IntTensor": "int32",
    "LongTensor": "int64",
    "ShortTensor": "int16",
}


class TensorType(type):
    """The metaclass of `FloatTensor` and the others: a call returns a Tensor; `isinstance` tests a
    dtype and a device."""

    is_cuda: bool

    @property
    def dtype(cls) -> np.dtype:
        """The dtype of its tensors."""
        return getattr(dtypes, TYPES[cls.__name__])

    def __instancecheck__(cls, value: object) -> bool:
        if not isinstance(value, Tensor):
            return False
        return value.is_cuda == cls.is_cuda and value.dtype == cls.dtype

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        where = "cuda" if cls.is_cuda else "cpu"
        if device is not None and not str(device).startswith(where):
            raise RuntimeError(f"{cls.__name__}: expected a {where} device, got {device}")
        options: Any = {"dtype": cls.dtype, "device": device or where}
        only = data[0] if len(data) == 1 else None
        if isinstance(only, Tensor):
            if not isinstance(only, cls):
                raise TypeError(
                    f"{cls.__name__}: expected a tensor of dtype {cls.dtype} on {where}, got "
                    f"{only.dtype} on {only.device}; convert it by to(dtype) or type({cls})"
                )
            return only.detach()
        if isinstance(only, float):
            raise TypeError(f"{cls.__name__}: expected sizes or a sequence, got the number {only}")
        if only is not None and not isinstance(only, (int, Size)):
            return creation.tensor(np.asarray(only).astype(cls.dtype), **options)
        return creation.empty(*(data or (0,)), **options)

    def __str__(cls) -> str:
        return f"torch.{'cuda.' * cls.is_cuda}{cls.__name__}"


def _make_type(name: str, is_cuda: bool = False) -> type[Tensor]:
    """The type `name` of tensors; for type checkers it is a class of Tensors."""
    path = f"{'cuda.' * is_cuda}{name}"
    doc = f"Tensors of dtype {TYPES[name].rstrip('_')}, from sizes or a sequence (torch.{path})."
    module = "dtrain.cuda" if is_cuda else "dtrain"
    kind: Any = TensorType(name, (), {"__doc__": doc, "__module__": module, "is_cuda": is_cuda})
    return kind


if TYPE_CHECKING:
    BFloat16Tensor = BoolTensor = ByteTensor = CharTensor = DoubleTensor = Tensor
    FloatTensor = HalfTensor = IntTensor = LongTensor = ShortTensor = Tensor
else:
    globals().update({name: _make_type(name) for name in TYPES})

#: The types of tensors on a GPU.
CUDA_TYPES: dict[str, Any] = {name: _make_type(name, is_cuda=True) for name in TYPES}


def find_type(name: Any) -> Any:
    """One of these types by its name, such as "torch.cuda.FloatTensor"; None for anything else.

    >>> find_type("torch.FloatTensor") is find_type(find_type("torch.FloatTensor"))
    True
    """
    if isinstance(name, TensorType):
        return name
    if not isinstance(name, str):
        return None
    path = name.removeprefix("torch.")
    kinds: dict[str, Any] = CUDA_TYPES if path.startswith("cuda.") else globals()
    path = path.removeprefix("cuda.")
    return kinds[path] if path in TYPES else None


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype and device to those of a type (torch.set_default_tensor_type).

    >>> import dtrain
    >>> dtrain.set_default_tensor_type("torch.FloatTensor")
    """
    kind = find_type(t)
    if kind is None:
        raise TypeError(f"set_default_tensor_type: expected a type such as FloatTensor, got {t!r}")
    if not dtypes.is_floating(kind.dtype):
        raise TypeError(f"set_default_tensor_type: expected a floating type, got {kind}")
    set_default_device("cuda" if kind.is_cuda else None)
    dtypes.set_default_dtype(kind.dtype)
