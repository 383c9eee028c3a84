"""Tensors from existing data (torch.tensor, torch.as_tensor, torch.from_numpy, ...)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import module_on, move
from dtrain.backend.device import chosen_device
from dtrain.backend.dtypes import (
    DTypeLike,
    category,
    get_default_dtype,
    iinfo,
    promote,
    scalar_dtype,
)
from dtrain.functions.creation.base import DeviceLike, make_leaf


def tensor(
    data: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    Python floats become the default dtype, ints int64; arrays keep theirs (torch.tensor).

    >>> tensor([[1, 2], [3, 4]]).dtype, tensor([1.0]).dtype
    (dtype('int64'), dtype('float32'))
    """
    device = chosen_device(device)
    if isinstance(data, Tensor):
        array = data.array.copy()
        array = array if device is None else move(array, device)
    else:
        if isinstance(data, (list, tuple)) and _holds_tensors(data):
            dtype = dtype or functools.reduce(promote, _dtypes(data))
            data = _without_tensors(data)
        array = _host_array(data, dtype)
        if not isinstance(data, (np.ndarray, np.generic)):
            dtype = dtype or scalar_dtype(array.dtype.type(0))
        array = move(array, "cpu" if device is None else device)
    return make_leaf(array if dtype is None else array.astype(dtype, copy=False), requires_grad)


def _host_array(data: Any, dtype: DTypeLike) -> np.ndarray:
    """A copy of numbers, lists of them or an array, which fit into the dtype."""
    array = np.array(data)
    if isinstance(data, (np.ndarray, np.generic)):
        return array
    if array.dtype.kind not in "biufcV":
        raise TypeError(f"tensor: expected numbers, got {type(data).__name__}: {data!r}")
    if array.dtype.kind == "c" and dtype is not None and np.dtype(dtype).kind != "c":
        raise RuntimeError(
            f"tensor: complex numbers cannot be converted to {np.dtype(dtype)} without overflow"
        )
    if dtype is not None and category(np.dtype(dtype)) == 1 and array.size:
        limit = iinfo(dtype).max  # as in PyTorch, -1 may be given for the largest of uint8
        if not (-limit - 1 <= array.min() and array.max() <= limit):  # NaN too
            raise RuntimeError(f"tensor: value cannot be converted to {dtype} without overflow")
    return array


def _holds_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        if any(issubclass(kind, Tensor) for kind in set(map(type, data))):
            return True
        data = data[0]
    return False


def _dtypes(data: Any) -> Iterator[np.dtype]:
    """The dtypes of the tensors and numbers in nested lists."""
    if isinstance(data, (list, tuple)):
        for item in data:
            yield from _dtypes(item)
    else:
        yield data.dtype if hasattr(data, "dtype") else scalar_dtype(data)


def _without_tensors(data: Any) -> Any:
    """Nested lists with numbers in place of tensors; one of a single element is a number."""
    if isinstance(data, Tensor):
        return data.item() if data.numel() == 1 else data.tolist()
    return [_without_tensors(item) for item in data] if isinstance(data, (list, tuple)) else data


def as_tensor(data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """`data` as a tensor, without a copy if possible (torch.as_tensor)."""
    if not isinstance(data, (Tensor, np.ndarray)) and hasattr(data, "__dlpack__"):
        data = from_dlpack(data)
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    elif not isinstance(data, Tensor):
        return tensor(data, dtype, device)
    device = chosen_device(device)
    data = data if device is None else data.to(device)
    return data if dtype is None else data.to(dtype)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array (torch.from_numpy)."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(ndarray).__name__}")
    if ndarray.dtype.kind not in "biufcV":
        raise TypeError(
            f"from_numpy: expected bools, integers, floats or complex numbers, got {ndarray.dtype}"
        )
    return wrap(ndarray)


def asarray(
    obj: Any,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`obj` as a tensor; `copy`: True copies, False never does, None if needed (torch.asarray)."""
    out = as_tensor(obj, dtype, device)
    source = obj.array if isinstance(obj, Tensor) else obj
    shared = isinstance(source, np.ndarray) and np.may_share_memory(out.array, source)
    shared = shared or out is obj or hasattr(obj, "__dlpack__")
    if copy is False and not shared:
        raise ValueError(f"asarray: a {type(obj).__name__} cannot be taken without a copy")
    if (copy and shared) or (requires_grad and out is obj):
        out = wrap(out.array.copy())
    return out.requires_grad_() if requires_grad else out


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's array (torch.from_dlpack)."""
    if ext_tensor.__dlpack_device__()[0] == 1:  # kDLCPU
        return wrap(np.from_dlpack(ext_tensor))
    return wrap(module_on("cuda").from_dlpack(ext_tensor))


def scalar_tensor(
    s: Any, dtype: DTypeLike = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A 0-d tensor, of the default dtype unless another is given (torch.scalar_tensor)."""
    return tensor(s, dtype or get_default_dtype(), device, requires_grad)


def frombuffer(
    buffer: Any,
    *,
    dtype: DTypeLike,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Tensor:
    """A vector that shares the memory of a buffer (torch.frombuffer)."""
    return make_leaf(np.frombuffer(buffer, dtype, count, offset), requires_grad)
