"""Functions that make tensors (torch.tensor, torch.zeros, torch.randn, ...)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, device, module_on, move, use_device
from dtrain.backend.dtypes import get_default_dtype, is_floating, scalar_dtype

DeviceLike = device | str | None

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]


def finish(array: Array, requires_grad: bool) -> Tensor:
    """A leaf tensor around a new array."""
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


def shape_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape given as `f(2, 3)` or `f((2, 3))`."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    if any(n < 0 for n in size):
        raise RuntimeError(f"a tensor's dimensions must not be negative, got {tuple(size)}")
    return tuple(int(n) for n in size)


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
        if isinstance(data, (list, tuple)) and _holds_tensors(data):
            data = _without_tensors(data)
        array = np.array(data)
        if not isinstance(data, (np.ndarray, np.generic)):
            if array.dtype.kind not in "biufV":
                raise TypeError(f"tensor: expected numbers, got {type(data).__name__}: {data!r}")
            dtype = dtype or scalar_dtype(array.dtype.type(0))
        array = move(array, device or "cpu")
    return finish(array if dtype is None else array.astype(dtype, copy=False), requires_grad)


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
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    elif not isinstance(data, Tensor):
        return tensor(data, dtype, device)
    data = data if device is None else data.to(device)
    return data if dtype is None else data.to(dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array (torch.from_numpy)."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(array).__name__}")
    if array.dtype.kind not in "biufV":
        raise TypeError(f"from_numpy: expected bools, integers or floats, got {array.dtype}")
    return wrap(array)


def _filled(make: Callable, size: tuple, dtype: Any, where: DeviceLike, grad: bool) -> Tensor:
    with use_device(where):
        return finish(make(module_on(where), shape_of(size), dtype or get_default_dtype()), grad)


def zeros(
    *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros (torch.zeros)."""
    return _filled(lambda xp, *a: xp.zeros(*a), size, dtype, device, requires_grad)


def ones(
    *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones (torch.ones)."""
    return _filled(lambda xp, *a: xp.ones(*a), size, dtype, device, requires_grad)


def empty(
    *size: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Memory that is not initialized (torch.empty)."""
    return _filled(lambda xp, *a: xp.empty(*a), size, dtype, device, requires_grad)


def full(
    size: Sequence[int],
    fill_value: Any,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """One number everywhere (torch.full)."""
    dtype = dtype or scalar_dtype(fill_value)
    return _filled(
        lambda xp, shape, t: xp.full(shape, fill_value, t), (size,), dtype, device, requires_grad
    )


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
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange: no steps of {step} lead from {start} to {end}")
    numbers = (start, end, step)
    dtype = dtype or max((scalar_dtype(n) for n in numbers), key=is_floating)
    with use_device(device):
        count = math.ceil((end - start) / step)
        steps = module_on(device).arange(count) * step + start
        return finish(steps.astype(dtype), requires_grad)


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
        array = module_on(device).linspace(start, end, steps, dtype=dtype or get_default_dtype())
        return finish(array, requires_grad)


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
        powers = base ** module_on(device).linspace(start, end, steps, dtype="float64")
        return finish(powers.astype(dtype or get_default_dtype()), requires_grad)


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


def eye(
    n: int,
    m: int | None = None,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere (torch.eye)."""
    with use_device(device):
        array = module_on(device).eye(n, m, dtype=dtype or get_default_dtype())
        return finish(array, requires_grad)


def make_like(make: Callable, x: Tensor, dtype: Any, where: DeviceLike, grad: bool) -> Tensor:
    """What `make` makes, in the shape, dtype and place of `x` unless others are given."""
    return make(x.shape, dtype=dtype or x.dtype, device=where or x.device, requires_grad=grad)


def zeros_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros in the shape and dtype of another tensor (torch.zeros_like)."""
    return make_like(zeros, input, dtype, device, requires_grad)


def ones_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones in the shape and dtype of another tensor (torch.ones_like)."""
    return make_like(ones, input, dtype, device, requires_grad)


def empty_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Uninitialized memory in the shape and dtype of another tensor (torch.empty_like)."""
    return make_like(empty, input, dtype, device, requires_grad)


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
        self: Tensor,
        *args: Any,
        dtype: Any = None,
        device: DeviceLike = None,
        requires_grad: bool = False,
    ) -> Tensor:
        return make(
            *args,
            dtype=dtype or self.dtype,
            device=device or self.device,
            requires_grad=requires_grad,
        )

    method.__name__ = f"new_{make.__name__}"
    method.__doc__ = f"`{make.__name__}`, like this tensor (torch.Tensor.{method.__name__})."
    return method
