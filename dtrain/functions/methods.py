"""Methods of Tensor that are no public function: conversions, operators with exchanged operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend import cuda_device_count, dtypes, pinned
from dtrain.functions import indexing, shapes, special, splitting
from dtrain.functions.creation.base import DeviceLike
from dtrain.functions.operands import Number, to
from dtrain.primitives import casts

#: The methods that convert, and the dtype of each.
CASTS = {
    "bfloat16": "bfloat16",
    "bool": "bool_",
    "byte": "uint8",
    "cdouble": "complex128",
    "cfloat": "complex64",
    "char": "int8",
    "double": "float64",
    "float": "float32",
    "half": "float16",
    "int": "int32",
    "long": "int64",
    "short": "int16",
}


def cpu(self: Tensor) -> Tensor:
    """The tensor in host memory; itself if it is there (torch.Tensor.cpu)."""
    return to(self, "cpu")


def cuda(self: Tensor, device: DeviceLike = None, non_blocking: bool = False) -> Tensor:
    """The tensor on a GPU, by default the current one (torch.Tensor.cuda).

    A copy from pinned memory (`pin_memory`) runs beside kernels that were launched before;
    non_blocking: the program does not wait for its end, until which `self` may not be written to.
    From other memory no copy is waited for.
    """
    return to(self, "cuda" if device is None else device, non_blocking=non_blocking)


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """Broadcast to the shape of `other`, without a copy (torch.Tensor.expand_as)."""
    return shapes.expand(self, other.shape)


def is_pinned(self: Tensor, device: DeviceLike = None) -> bool:
    """Whether the tensor lies in pinned host memory (torch.Tensor.is_pinned)."""
    return not self.is_cuda and pinned.is_pinned(self.array)


def pin_memory(self: Tensor, device: DeviceLike = None) -> Tensor:
    """A copy in pinned host memory; itself if it is there (torch.Tensor.pin_memory).

    A GPU copies from pinned memory without the CPU, and beside its kernels.

    Raises
    ------
    RuntimeError
        If there is no GPU, or the tensor is on one.
    """
    if self.is_cuda:
        raise RuntimeError(f"pin_memory: the tensor must be in host memory, it is on {self.device}")
    if not cuda_device_count():
        raise RuntimeError(
            "pin_memory: CuPy sees no GPU, for which memory could be pinned; ask "
            "dtrain.cuda.is_available() before"
        )
    return self if is_pinned(self) else casts.to_device(self, move=pinned.pin)


def polygamma(self: Tensor, n: int) -> Tensor:
    """The derivative of order n of digamma (torch.Tensor.polygamma)."""
    return special.polygamma(n, self)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """The same elements in the shape of `other` (torch.Tensor.reshape_as)."""
    return shapes.reshape(self, other.shape)


def split(self: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of a size, or of the sizes given, along a dimension (torch.Tensor.split)."""
    return splitting.split(self, split_size, dim)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of `other` (torch.Tensor.type_as)."""
    return to(self, other.dtype)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """The same memory in the shape of `other` (torch.Tensor.view_as)."""
    return shapes.view(self, other.shape)


def where(self: Tensor, condition: Tensor, other: Tensor | Number) -> Tensor:
    """`self` where the condition holds, `other` elsewhere (torch.Tensor.where)."""
    return indexing.where(condition, self, other)


def make_cast(name: str) -> Callable[..., Tensor]:
    """The method `name`, which converts to the dtype that CASTS has for it."""

    def cast(self: Tensor, memory_format: Any = None) -> Tensor:
        return to(self, getattr(dtypes, CASTS[name]))

    cast.__name__, cast.__qualname__ = name, f"Tensor.{name}"
    cast.__doc__ = f"The tensor in dtype {CASTS[name].rstrip('_')} (torch.Tensor.{name})."
    return cast
