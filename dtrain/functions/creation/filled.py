"""Tensors of a shape (torch.zeros, torch.empty, torch.full_like, ...)."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import module_on, use_device
from dtrain.backend.dtypes import (
    DTypeLike,
    get_default_dtype,
    scalar_dtype,
)
from dtrain.functions.creation.base import (
    DeviceLike,
    convert_number,
    factory,
    make_leaf,
    parse_shape,
)


def _make_filled(
    make: Callable, size: tuple, dtype: DTypeLike, where: DeviceLike, grad: bool
) -> Tensor:
    with use_device(where):
        return make_leaf(
            make(module_on(where), parse_shape(size), dtype or get_default_dtype()), grad
        )


@factory
def zeros(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros (torch.zeros)."""
    return _make_filled(lambda xp, *a: xp.zeros(*a), size, dtype, device, requires_grad)


@factory
def ones(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones (torch.ones)."""
    return _make_filled(lambda xp, *a: xp.ones(*a), size, dtype, device, requires_grad)


@factory
def empty(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uninitialized memory (torch.empty)."""
    return _make_filled(lambda xp, *a: xp.empty(*a), size, dtype, device, requires_grad)


@factory
def full(
    size: Sequence[int],
    fill_value: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor filled with one number (torch.full)."""
    if not isinstance(size, Sequence):
        raise TypeError(f"full: expected a tuple of integers as size, got {size!r}")
    number = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    dtype = np.dtype(dtype or scalar_dtype(number))
    number = convert_number(number, dtype)
    return _make_filled(
        lambda xp, shape, t: xp.full(shape, number, t), (size,), dtype, device, requires_grad
    )


@factory
def eye(
    n: int,
    m: int | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere (torch.eye)."""
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye: expected sizes of at least 0, got {n} and {m}")
    with use_device(device):
        array = module_on(device).eye(n, m, dtype=dtype or get_default_dtype())
        return make_leaf(array, requires_grad)


@factory
def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uninitialized memory with these strides, in elements (torch.empty_strided)."""
    shape, strides = parse_shape((size,)), tuple(stride)
    if len(shape) != len(strides) or any(step < 0 for step in strides):
        raise RuntimeError(f"empty_strided: strides {strides} do not go with size {shape}")
    reach = sum((n - 1) * step for n, step in zip(shape, strides)) + 1 if all(shape) else 0
    with use_device(device):
        xp = module_on(device)
        memory = xp.empty(reach, dtype or get_default_dtype())
        steps = tuple(step * memory.itemsize for step in strides)
        array = xp.lib.stride_tricks.as_strided(memory, shape, steps)
        return make_leaf(array, requires_grad)


@factory
def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uninitialized memory, dense, with the dimensions in this order (torch.empty_permuted)."""
    shape, order = parse_shape((size,)), tuple(physical_layout)
    if sorted(order) != list(builtins.range(len(shape))):
        raise RuntimeError(f"empty_permuted: {order} is not an order of {len(shape)} dimensions")
    strides, step = [1] * len(shape), 1
    for axis in reversed(order):
        strides[axis], step = step, step * shape[axis]
    return empty_strided(shape, strides, dtype, device, requires_grad)


def make_like(make: Callable, x: Tensor, dtype: DTypeLike, where: DeviceLike, grad: bool) -> Tensor:
    """Call `make` with the shape, dtype and device of `x` unless others are given."""
    if not isinstance(x, Tensor):
        raise TypeError(f"expected a tensor to be like, got {type(x).__name__}")
    return make(
        x.shape,
        dtype=dtype or x.dtype,
        device=x.device if where is None else where,
        requires_grad=grad,
    )


@factory
def zeros_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros in the shape and dtype of another tensor (torch.zeros_like)."""
    return make_like(zeros, input, dtype, device, requires_grad)


@factory
def ones_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones in the shape and dtype of another tensor (torch.ones_like)."""
    return make_like(ones, input, dtype, device, requires_grad)


@factory
def empty_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uninitialized memory in the shape and dtype of another tensor (torch.empty_like)."""
    return make_like(empty, input, dtype, device, requires_grad)


@factory
def full_like(
    input: Tensor,
    fill_value: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number in the shape and dtype of another tensor (torch.full_like)."""
    return full(
        input.shape,
        fill_value,
        dtype or input.dtype,
        input.device if device is None else device,
        requires_grad,
    )


def new_method(make: Callable) -> Callable[..., Tensor]:
    """`make` as a method: with the dtype and device of the tensor unless others are given."""

    def method(
        self: Tensor,
        *args: Any,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        return make(
            *args,
            dtype=dtype or self.dtype,
            device=self.device if device is None else device,
            **kwargs,
        )

    method.__name__ = f"new_{make.__name__}"
    method.__qualname__ = f"Tensor.{method.__name__}"
    method.__module__ = make.__module__
    method.__doc__ = (
        f"`{make.__name__}` with this tensor's dtype and device (torch.Tensor.{method.__name__})."
    )
    signature = inspect.signature(make)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Tensor")
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[itself, *signature.parameters.values()]
    )
    return method
