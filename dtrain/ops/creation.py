"""Functions that make tensors (torch.tensor, torch.zeros, torch.randn, ...)."""

from __future__ import annotations

import builtins
import functools
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, device, module_on, move, use_device
from dtrain.backend.dtypes import (
    category,
    get_default_dtype,
    iinfo,
    is_floating,
    scalar_dtype,
)

DeviceLike = device | str | None

__all__ = [
    "arange",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "empty_permuted",
    "empty_strided",
    "eye",
    "from_dlpack",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "range",
    "scalar_tensor",
    "tensor",
    "tril_indices",
    "triu_indices",
    "vander",
    "zeros",
    "zeros_like",
]


def finish(array: Array, requires_grad: bool) -> Tensor:
    """A leaf tensor around a new array."""
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


def factory(make: Callable) -> Callable:
    """A function that makes tensors, as the user calls it.

    It takes `out=`, the shape as `size=` where it takes one, and PyTorch's words for the place in
    memory, which change nothing here.
    """
    sizes = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(make).parameters.values())

    @functools.wraps(make)
    def called(*args: Any, **kwargs: Any) -> Tensor:
        for name in ("layout", "memory_format", "pin_memory"):
            kwargs.pop(name, None)
        if sizes and "size" in kwargs:
            args = (kwargs.pop("size"), *args)
        if sizes and not args:
            raise TypeError(f"{make.__name__}: expected a size")
        if (out := kwargs.pop("out", None)) is None:
            return make(*args, **kwargs)
        kwargs.setdefault("dtype", out.dtype)
        out.data = make(*args, **kwargs)
        return out

    return called


def shape_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape given as `f(2, 3)` or `f((2, 3))`."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    try:
        shape = tuple(operator.index(n) for n in size)
    except TypeError:
        raise TypeError(f"expected integers as the dimensions of a tensor, got {size}") from None
    if any(n < 0 for n in shape):
        raise RuntimeError(f"a tensor's dimensions must not be negative, got {shape}")
    return shape


def number_in(value: Any, dtype: np.dtype) -> Any:
    """A number, or a 0-d tensor's, as a dtype can hold it; one too large is refused."""
    value = value.item() if isinstance(value, Tensor) else value
    if category(dtype) != 1:
        return value
    limits = iinfo(dtype)
    if not -limits.max - 1 <= value <= limits.max:  # NaN too
        raise RuntimeError(f"value {value} cannot be converted to {dtype} without overflow")
    return np.asarray(int(value)).astype(dtype).item()


def tensor(
    data: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    Python floats become the default dtype, ints int64; arrays keep theirs (torch.tensor).

    >>> tensor([[1, 2], [3, 4]]).dtype, tensor([1.0]).dtype
    (dtype('int64'), dtype('float32'))
    """
    if isinstance(data, Tensor):
        array = data._array.copy()
        array = array if device is None else move(array, device)
    else:
        array = _host_array(data, dtype)
        if not isinstance(data, (np.ndarray, np.generic)):
            dtype = dtype or scalar_dtype(array.dtype.type(0))
        array = move(array, device or "cpu")
    return finish(array if dtype is None else array.astype(dtype, copy=False), requires_grad)


def _host_array(data: Any, dtype: Any) -> np.ndarray:
    """A copy of numbers, lists of them or an array, which fit into the dtype."""
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = _without_tensors(data)
    array = np.array(data)
    if isinstance(data, (np.ndarray, np.generic)):
        return array
    if array.dtype.kind not in "biufV":
        raise TypeError(f"tensor: expected numbers, got {type(data).__name__}: {data!r}")
    if dtype is not None and category(np.dtype(dtype)) == 1 and array.size:
        limit = iinfo(dtype).max  # as in PyTorch, -1 may be given for the largest of uint8
        if not (-limit - 1 <= array.min() and array.max() <= limit):  # NaN too
            raise RuntimeError(f"tensor: value cannot be converted to {dtype} without overflow")
    return array


def _holds_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, Tensor)


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.tolist()
    return [_without_tensors(item) for item in data] if isinstance(data, (list, tuple)) else data


def as_tensor(data: Any, dtype: Any = None, device: DeviceLike = None) -> Tensor:
    """`data` as a tensor, sharing its memory where that can be (torch.as_tensor)."""
    if not isinstance(data, (Tensor, np.ndarray)) and hasattr(data, "__dlpack__"):
        data = from_dlpack(data)
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    elif not isinstance(data, Tensor):
        return tensor(data, dtype, device)
    data = data if device is None else data.to(device)
    return data if dtype is None else data.to(dtype)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array (torch.from_numpy)."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(ndarray).__name__}")
    if ndarray.dtype.kind not in "biufV":
        raise TypeError(f"from_numpy: expected bools, integers or floats, got {ndarray.dtype}")
    return wrap(ndarray)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: DeviceLike = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`obj` as a tensor; `copy` says whether memory must, or must not, be new (torch.asarray)."""
    out = as_tensor(obj, dtype, device)
    source = obj._array if isinstance(obj, Tensor) else obj
    shared = isinstance(source, np.ndarray) and np.may_share_memory(out._array, source)
    shared = shared or out is obj or hasattr(obj, "__dlpack__")
    if copy is False and not shared:
        raise ValueError(f"asarray: a {type(obj).__name__} cannot be taken without a copy")
    if (copy and shared) or (requires_grad and out is obj):
        out = wrap(out._array.copy())
    return out.requires_grad_() if requires_grad else out


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's array (torch.from_dlpack)."""
    if ext_tensor.__dlpack_device__()[0] == 1:  # kDLCPU
        return wrap(np.from_dlpack(ext_tensor))
    return wrap(module_on("cuda").from_dlpack(ext_tensor))


def scalar_tensor(
    s: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A 0-d tensor, of the default dtype unless another is given (torch.scalar_tensor)."""
    return tensor(s, dtype or get_default_dtype(), device, requires_grad)


@factory
def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Memory that is not initialized, with these steps in elements (torch.empty_strided)."""
    shape, strides = shape_of((size,)), tuple(stride)
    if len(shape) != len(strides) or any(step < 0 for step in strides):
        raise RuntimeError(f"empty_strided: strides {strides} do not go with size {shape}")
    reach = sum((n - 1) * step for n, step in zip(shape, strides)) + 1 if all(shape) else 0
    with use_device(device):
        xp = module_on(device)
        memory = xp.empty(reach, dtype or get_default_dtype())
        steps = tuple(step * memory.itemsize for step in strides)
        array = xp.lib.stride_tricks.as_strided(memory, shape, steps)
        return finish(array, requires_grad)


@factory
def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Memory with the dimensions in this order, the last one dense (torch.empty_permuted)."""
    shape, order = shape_of((size,)), tuple(physical_layout)
    if sorted(order) != list(builtins.range(len(shape))):
        raise RuntimeError(f"empty_permuted: {order} is not an order of {len(shape)} dimensions")
    strides, step = [1] * len(shape), 1
    for place in reversed(order):
        strides[place], step = step, step * shape[place]
    return empty_strided(shape, strides, dtype, device, requires_grad)


def _filled(make: Callable, size: tuple, dtype: Any, where: DeviceLike, grad: bool) -> Tensor:
    with use_device(where):
        return finish(make(module_on(where), shape_of(size), dtype or get_default_dtype()), grad)


@factory
def zeros(
    *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros (torch.zeros)."""
    return _filled(lambda xp, *a: xp.zeros(*a), size, dtype, device, requires_grad)


@factory
def ones(
    *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones (torch.ones)."""
    return _filled(lambda xp, *a: xp.ones(*a), size, dtype, device, requires_grad)


@factory
def empty(
    *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Memory that is not initialized (torch.empty)."""
    return _filled(lambda xp, *a: xp.empty(*a), size, dtype, device, requires_grad)


@factory
def full(
    size: Sequence[int],
    fill_value: Any,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number everywhere (torch.full)."""
    if not isinstance(size, Sequence):
        raise TypeError(f"full: expected a tuple of integers as size, got {size!r}")
    number = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    dtype = np.dtype(dtype or scalar_dtype(number))
    number = number_in(number, dtype)
    return _filled(
        lambda xp, shape, t: xp.full(shape, number, t), (size,), dtype, device, requires_grad
    )


@factory
def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` up to, not including, `end` (torch.arange).

    >>> arange(3)
    tensor([0, 1, 2])
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    dtype = np.dtype(dtype or max((scalar_dtype(n) for n in (start, end, step)), key=is_floating))
    if not all(math.isfinite(n) for n in (start, end, step)):
        raise RuntimeError(f"arange: expected finite numbers, got {start}, {end} and {step}")
    if dtype == np.int64:
        start, end, step = int(start), int(end), int(step)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange: no steps of {step} lead from {start} to {end}")
    count = math.ceil((end - start) / step)
    if category(dtype) == 1:
        start, step = int(start), int(step)
    with use_device(device):
        steps = module_on(device).arange(count) * step + start
        return finish(steps.astype(dtype), requires_grad)


@factory
def range(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` up to, and including, `end` (torch.range, the older `arange`)."""
    start, end = (0, start) if end is None else (start, end)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"range: no steps of {step} lead from {start} to {end}")
    count = math.floor((end - start) / step) + 1
    with use_device(device):
        steps = module_on(device).arange(count) * step + start
        return finish(steps.astype(dtype or get_default_dtype()), requires_grad)


@factory
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector as columns (torch.vander)."""
    if x.ndim != 1:
        raise RuntimeError(f"vander: expected a vector, got shape {x.shape}")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError(f"vander: expected N >= 0, got {N}")
    powers = x.unsqueeze(1) ** arange(count, device=x.device)
    return powers if increasing else powers.flip(1)


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A vector that shares the memory of a buffer (torch.frombuffer)."""
    return finish(np.frombuffer(buffer, dtype, count, offset), requires_grad)


def _spaced(xp: Any, start: Any, end: Any, steps: int, dtype: np.dtype) -> Array:
    """`steps` numbers in float64, made from both ends as PyTorch makes them."""
    if operator.index(steps) < 0:
        raise RuntimeError(f"expected steps of at least 0, got {steps}")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if category(dtype) == 1:
        start, end = int(start), int(end)
    if steps == 1:
        return xp.full(1, start, "float64")
    count = xp.arange(steps)
    step = (end - start) / max(steps - 1, 1)
    return xp.where(2 * count < steps, start + step * count, end - step * (steps - 1 - count))


@factory
def linspace(
    start: float,
    end: float,
    steps: int,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included (torch.linspace)."""
    with use_device(device):
        dtype = np.dtype(dtype or get_default_dtype())
        array = _spaced(module_on(device), start, end, steps, dtype)
        return finish(array.astype(dtype), requires_grad)


@factory
def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """base ** linspace(start, end, steps) (torch.logspace)."""
    with use_device(device):
        dtype = np.dtype(dtype or get_default_dtype())
        powers = float(base) ** _spaced(module_on(device), start, end, steps, dtype)
        return finish(powers.astype(dtype), requires_grad)


def _sides(row: int, col: int) -> tuple[int, int]:
    if row < 0 or col < 0:
        raise RuntimeError(f"expected no negative number of rows or columns, got {row} and {col}")
    return row, col


def _places(mask: np.ndarray, dtype: Any, device: DeviceLike) -> Tensor:
    return tensor(np.stack(np.nonzero(mask)), dtype or "int64", device)


def tril_indices(
    row: int, col: int, offset: int = 0, dtype: Any = None, device: DeviceLike = None
) -> Tensor:
    """Where the lower triangle is: a row of row numbers, a row of columns (torch.tril_indices)."""
    return _places(np.tri(*_sides(row, col), offset), dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, dtype: Any = None, device: DeviceLike = None
) -> Tensor:
    """Where the upper triangle is: a row of row numbers, a row of columns (torch.triu_indices)."""
    return _places(1 - np.tri(*_sides(row, col), offset - 1), dtype, device)


@factory
def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere (torch.eye)."""
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye: expected sizes of at least 0, got {n} and {m}")
    with use_device(device):
        array = module_on(device).eye(n, m, dtype=dtype or get_default_dtype())
        return finish(array, requires_grad)


def make_like(make: Callable, x: Tensor, dtype: Any, where: DeviceLike, grad: bool) -> Tensor:
    """What `make` makes, in the shape, dtype and place of `x` unless others are given."""
    if not isinstance(x, Tensor):
        raise TypeError(f"expected a tensor to be like, got {type(x).__name__}")
    return make(x.shape, dtype=dtype or x.dtype, device=where or x.device, requires_grad=grad)


@factory
def zeros_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros in the shape and dtype of another tensor (torch.zeros_like)."""
    return make_like(zeros, input, dtype, device, requires_grad)


@factory
def ones_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones in the shape and dtype of another tensor (torch.ones_like)."""
    return make_like(ones, input, dtype, device, requires_grad)


@factory
def empty_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Uninitialized memory in the shape and dtype of another tensor (torch.empty_like)."""
    return make_like(empty, input, dtype, device, requires_grad)


@factory
def full_like(
    input: Tensor,
    fill_value: Any,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number in the shape and dtype of another tensor (torch.full_like)."""
    return full(
        input.shape, fill_value, dtype or input.dtype, device or input.device, requires_grad
    )


def new_method(make: Callable) -> Callable[..., Tensor]:
    """`make` as a method: in the dtype and place of the tensor unless others are given."""

    def method(
        self: Tensor, *args: Any, dtype: Any = None, device: DeviceLike = None, **kwargs: Any
    ) -> Tensor:
        return make(*args, dtype=dtype or self.dtype, device=device or self.device, **kwargs)

    method.__name__ = f"new_{make.__name__}"
    method.__doc__ = f"`{make.__name__}`, like this tensor (torch.Tensor.{method.__name__})."
    return method
