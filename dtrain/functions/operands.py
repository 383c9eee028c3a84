"""How operands become what a rule takes: common dtypes, axes, sizes, devices."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from operator import index
from typing import Any, TypeAlias

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, cuda_index, device as Device, move
from dtrain.backend.dtypes import (
    INEXACT,
    category,
    complex_dtype,
    get_default_dtype,
    is_inexact,
    promote,
    scalar_dtype,
)
from dtrain.functions.creation import as_tensor
from dtrain.primitives import casts

Number: TypeAlias = int | float | complex | bool
Dims: TypeAlias = int | Sequence[int]


def to(
    input: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """The tensor in another dtype or on another device; itself if it is so (torch.Tensor.to).

    Takes a dtype, a device, both in any order, or another tensor to be like; then non_blocking
    (see `Tensor.cuda`) and copy: a new tensor in any case.
    """
    flags: tuple[bool, ...] = ()
    for arg in args:
        if isinstance(arg, Tensor):
            dtype, device = arg.dtype, arg.device
        elif isinstance(arg, (str, Device)) or type(arg) is int:
            device = arg
        elif isinstance(arg, bool):
            flags += (arg,)
        else:
            dtype = arg
    if device is not None and not is_on_device(input, device):
        if input.is_sparse:
            return input.to(dtype=dtype, device=device)
        wait = not (non_blocking or flags[:1] == (True,))
        input, copy = casts.to_device(input, move=lambda a: move(a, device, wait)), False
    elif flags[1:]:
        copy = flags[1]
    if dtype is None or input.dtype == dtype:
        return casts.clone(input) if copy else input
    if input.is_sparse:
        return input.to(dtype=dtype)
    return casts.cast(input, dtype=np.dtype(dtype))


def is_on_device(input: Tensor, where: Device | str | int) -> bool:
    """Whether a tensor is there."""
    if not input.is_cuda:
        return Device(where).type == "cpu"
    return Device(where).type == "cuda" and input.device.index == cuda_index(where)


def result_dtype(x: Any, y: Any) -> np.dtype:
    """The dtype of x op y: numbers and 0-d tensors do not widen tensors with dimensions."""
    if not isinstance(y, Tensor):
        number = scalar_dtype(y)
        return _widened(x.dtype, number)
    if (x.ndim == 0) == (y.ndim == 0):
        return promote(x.dtype, y.dtype)
    full, single = (x, y) if x.ndim else (y, x)
    return _widened(full.dtype, single.dtype)


def _widened(full: np.dtype, single: np.dtype) -> np.dtype:
    """The dtype of a tensor with dimensions beside a number or a 0-d tensor."""
    if category(single) <= category(full):
        return full
    return complex_dtype(full) if single.kind == "c" and is_inexact(full) else single


def promote_all(*operands: Any) -> list[Any]:
    """Tensors in the dtype that all of them promote to; numbers as they are."""
    tensors = [v for v in operands if isinstance(v, Tensor)]
    full = [v for v in tensors if v.ndim]
    dtype = functools.reduce(promote, (v.dtype for v in full or tensors))
    for single in tensors if full else ():
        if not single.ndim:
            dtype = _widened(dtype, single.dtype)
    return [to(v, dtype) if isinstance(v, Tensor) else v for v in operands]


def promote_pair(x: Any, y: Any, wrap_around: bool = True) -> tuple[Any, Any]:
    """Both operands in their common dtype, on one device; numbers stay numbers beside a tensor.

    An integer that the dtype has not is wrapped around, as its arithmetic is.
    """
    if isinstance(x, Tensor) and isinstance(y, Tensor):  # what is common, first
        a, b = x.array, y.array
        if a.dtype is b.dtype and type(a) is type(b):
            return x, y
    if isinstance(x, (np.ndarray, np.generic)):
        x = as_tensor(np.asarray(x))
    if isinstance(y, (np.ndarray, np.generic)):
        y = as_tensor(np.asarray(y))
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        if x.is_cuda != y.is_cuda:
            x, y = _on_one_device(x, y)
        if x.dtype == y.dtype:
            return x, y
        dtype = result_dtype(x, y)
        return to(x, dtype), to(y, dtype)
    if isinstance(x, Tensor):
        return (x, y) if keeps_dtype(x, y) else _with_number(x, y, wrap_around)
    if isinstance(y, Tensor):
        return (x, y) if keeps_dtype(y, x) else _with_number(y, x, wrap_around)[::-1]
    dtype = promote(scalar_dtype(x), scalar_dtype(y))
    return as_tensor(x, dtype=dtype), as_tensor(y, dtype=dtype)


def keeps_dtype(x: Tensor, number: Any) -> bool:
    """Whether a tensor keeps its dtype beside any such number."""
    kind = x.dtype.kind
    return kind in INEXACT and (kind == "c" or not isinstance(number, complex))


def _with_number(x: Tensor, number: Any, wrap_around: bool) -> tuple[Tensor, Any]:
    """Integers or bools beside a number, or real numbers beside a complex one."""
    x = to(x, result_dtype(x, number))
    if wrap_around and isinstance(number, int) and x.dtype.kind in "iu" and x.dtype.itemsize < 8:
        number = int(np.asarray(number).astype(x.dtype))
    return x, number


def require_real(name: str, input: Tensor) -> None:
    """Refuse complex numbers, which have no order."""
    if input.is_complex():
        raise NotImplementedError(
            f"{name}: expected real numbers, got {input.dtype}; use real, imag or abs"
        )


def require_tensors(name: str, *values: Any) -> None:
    """Refuse numbers where PyTorch does."""
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: expected tensors, got {type(value).__name__}")


def _on_one_device(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """A 0-d host tensor goes to the other's device, as in PyTorch; any other pair is refused."""
    if not x.is_cuda and x.ndim == 0:
        return to(x, device=y.device), y
    if not y.is_cuda and y.ndim == 0:
        return x, to(y, device=x.device)
    raise RuntimeError(
        f"expected all tensors to be on the same device, got {x.device} and {y.device}; "
        "move one with .to(device)"
    )


def to_floating(x: Any) -> Tensor:
    """x, or x in the default dtype if it has integers or bools."""
    if not isinstance(x, Tensor):
        x = as_tensor(x)
    return x if x.dtype.kind in INEXACT else to(x, get_default_dtype())


def scalar_like(value: Number, like: Tensor) -> Tensor:
    """A number as a 0-d tensor of the dtype, and on the device, of another tensor."""
    return wrap(array_module(like.array).asarray(value, like.dtype))


def to_axis(dim: Any) -> Any:
    """A list of dimensions as a tuple, as array functions want it."""
    return tuple(dim) if isinstance(dim, Sequence) else dim


def unpack_integers(given: tuple[Any, ...], named: Any = None) -> tuple[int, ...]:
    """The integers given as `f(2, 3)`, as `f((2, 3))` or by their keyword."""
    if named is None:
        first = given[0] if len(given) == 1 else 0
        named = first if type(first) is not int and isinstance(first, Sequence) else given
    return tuple(map(index, named))


def normalize_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front, refused with PyTorch's IndexError if there is no such one."""
    limit = ndim or 1
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], "
            f"but got {dim})"
        )
    return dim % limit


def resolve_axis(input: Tensor, dim: Any) -> Any:
    """`dim` as an axis; dimensions that are not there are refused."""
    if dim is None or (type(dim) is int and -input.array.ndim <= dim < input.array.ndim):
        return dim
    axis = to_axis(dim)
    for d in axis if isinstance(axis, tuple) else () if axis is None else (axis,):
        normalize_dim(d, input.ndim)
    if axis == () or (input.ndim == 0 and axis is not None):
        return None
    return axis
