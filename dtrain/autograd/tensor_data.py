"""`TensorData`: what depends on a tensor's array alone: shape, dtype, device, memory, values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np

from dtrain.backend import Array, device, device_of, to_host
from dtrain.backend.dtypes import is_floating
from dtrain.backend.layout import layout, strided
from dtrain.backend.nested import map_nested
from dtrain.backend.size import Size


class TensorData:
    """Base class of Tensor: attributes and methods that depend on its array alone."""

    __slots__ = ()

    array: Array  #: the NumPy or CuPy array that holds the values
    _requires_grad: bool

    @property
    def shape(self) -> Size:
        """The length of each dimension (torch.Tensor.shape)."""
        return Size(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements, a NumPy dtype (torch.Tensor.dtype)."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions (torch.Tensor.ndim)."""
        return self.array.ndim

    @property
    def device(self) -> device:
        """The device that holds the array (torch.Tensor.device)."""
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        """Whether the array is on a GPU (torch.Tensor.is_cuda)."""
        return not isinstance(self.array, np.ndarray)

    @property
    def is_cpu(self) -> bool:
        """Whether the array is on the host (torch.Tensor.is_cpu)."""
        return not self.is_cuda

    @property
    def is_mps(self) -> bool:
        """False: there are no such devices (torch.Tensor.is_mps)."""
        return False

    @property
    def is_xpu(self) -> bool:
        """False: there are no such devices (torch.Tensor.is_xpu)."""
        return False

    @property
    def is_meta(self) -> bool:
        """False: every tensor has its values (torch.Tensor.is_meta)."""
        return False

    @property
    def is_quantized(self) -> bool:
        """False: there is no quantization (torch.Tensor.is_quantized)."""
        return False

    @property
    def layout(self) -> layout:
        """`dtrain.strided`, or `sparse_coo` of a sparse tensor (torch.Tensor.layout)."""
        return strided

    @property
    def is_sparse(self) -> bool:
        """Whether the layout is `sparse_coo` (torch.Tensor.is_sparse)."""
        return False

    def get_device(self) -> int:
        """The index of the GPU; -1 on the host (torch.Tensor.get_device)."""
        return -1 if self.is_cpu else self.device.index or 0

    def data_ptr(self) -> int:
        """The address of the first element (torch.Tensor.data_ptr)."""
        return self.array.ctypes.data if self.is_cpu else self.array.data.ptr

    @overload
    def size(self, dim: None = None) -> Size: ...

    @overload
    def size(self, dim: int) -> int: ...

    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the length of dimension `dim` (torch.Tensor.size)."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions (torch.Tensor.dim)."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements (torch.Tensor.numel)."""
        return self.array.size

    @property
    def itemsize(self) -> int:
        """The size of one element in bytes (torch.Tensor.itemsize)."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """The size of all elements in bytes (torch.Tensor.nbytes)."""
        return self.array.nbytes

    def element_size(self) -> int:
        """The size of one element in bytes (torch.Tensor.element_size)."""
        return self.array.itemsize

    @overload
    def stride(self, dim: None = None) -> tuple[int, ...]: ...

    @overload
    def stride(self, dim: int) -> int: ...

    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """The distance between neighbours along each dimension, in elements (torch.Tensor.stride).

        With `dim`, along that dimension.
        """
        strides = tuple(step // self.array.itemsize for step in self.array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps (torch.Tensor.is_contiguous)."""
        return bool(self.array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating-point one (torch.Tensor.is_floating_point)."""
        return is_floating(self.dtype)

    def is_complex(self) -> bool:
        """Whether the dtype is complex64 or complex128 (torch.Tensor.is_complex)."""
        return self.array.dtype.kind == "c"

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers (torch.Tensor.is_signed)."""
        return self.dtype.kind not in "bu"

    def item(self) -> Any:
        """The only element as a Python number, copied from the device (torch.Tensor.item)."""
        if self.numel() != 1:
            raise RuntimeError(f"item: expected one element, got a tensor of shape {self.shape}")
        return self.array.item()

    def __complex__(self) -> complex:
        return complex(self.item())

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers (torch.Tensor.tolist)."""
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself, memory shared (torch.Tensor.numpy).

        For host tensors that do not require grad; with `force` for any, copied from a GPU.
        """
        if force:
            return to_host(self.array)
        if self._requires_grad:
            raise RuntimeError("numpy: this tensor requires grad; use tensor.detach().numpy()")
        if self.is_cuda:
            raise TypeError("numpy: this tensor is on a GPU; use tensor.cpu().numpy()")
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype) if copy else np.asarray(self.numpy(), dtype)

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        """Call a function of NumPy's, as `numpy.mean`, with the arrays of `numpy()`."""
        args, kwargs = map_nested((args, kwargs), TensorData, TensorData.numpy)
        return func(*args, **kwargs)

    def _repr_html_(self) -> str:
        """What a notebook shows: the values, then shape, dtype and device."""
        from html import escape

        about = f"shape {tuple(self.shape)}, {self.dtype}, {self.device}"
        return f"<pre>{escape(repr(self))}</pre><small>{escape(about)}</small>"

    def __dlpack__(self, **options: Any) -> Any:
        """A DLPack capsule that shares the memory with another library."""
        if self._requires_grad:
            raise BufferError("this tensor requires grad; export tensor.detach()")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The device type and index, by DLPack's numbers."""
        return self.array.__dlpack_device__()
