"""Functions that make tensors (torch.tensor, torch.zeros, torch.randn, ...)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, Generator, default_generator, device, module_on, move, use_device
from dtrain.backend import random as rng
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
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "tensor",
    "zeros",
    "zeros_like",
]


def _finish(array: Array, requires_grad: bool) -> Tensor:
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
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
            if array.dtype.kind not in "biuf":
                raise TypeError(f"tensor: expected numbers, got {type(data).__name__}: {data!r}")
            dtype = dtype or scalar_dtype(array.dtype.type(0))
        array = move(array, device or "cpu")
    return _finish(array if dtype is None else array.astype(dtype, copy=False), requires_grad)


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
    if array.dtype.kind not in "biuf":
        raise TypeError(f"from_numpy: expected bools, integers or floats, got {array.dtype}")
    return wrap(array)


def _filled(make: Callable, size: tuple, dtype: Any, where: DeviceLike, grad: bool) -> Tensor:
    with use_device(where):
        return _finish(make(module_on(where), _shape(size), dtype or get_default_dtype()), grad)


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
        return _finish(steps.astype(dtype), requires_grad)


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
        return _finish(array, requires_grad)


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
        return _finish(array, requires_grad)


def _like(make: Callable, x: Tensor, dtype: Any, where: DeviceLike, grad: bool) -> Tensor:
    return make(x.shape, dtype=dtype or x.dtype, device=where or x.device, requires_grad=grad)


def zeros_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros in the shape and dtype of another tensor (torch.zeros_like)."""
    return _like(zeros, input, dtype, device, requires_grad)


def ones_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones in the shape and dtype of another tensor (torch.ones_like)."""
    return _like(ones, input, dtype, device, requires_grad)


def empty_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Uninitialized memory in the shape and dtype of another tensor (torch.empty_like)."""
    return _like(empty, input, dtype, device, requires_grad)


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


def _drawn(
    draw: Callable, size: tuple, dtype: Any, where: DeviceLike, generator: Any, grad: bool
) -> Tensor:
    shape, dtype = _shape(size), np.dtype(dtype or get_default_dtype())
    if not is_floating(dtype):
        raise RuntimeError(f"random numbers of this kind have a floating dtype, not {dtype}")
    count = math.prod(shape)
    with use_device(where):
        array = draw(generator or default_generator(), module_on(where), dtype, count)
        return _finish(array.reshape(shape), grad)


def _uniform(generator: Generator, xp: Any, dtype: np.dtype, count: int) -> Array:
    return rng.uniform(generator.bits(xp, rng.words_for(count, dtype)), dtype, count)


def _normal(generator: Generator, xp: Any, dtype: np.dtype, count: int) -> Array:
    words = rng.words_for(count + count % 2, np.dtype("f4") if dtype.itemsize < 8 else dtype)
    return rng.normal(generator.bits(xp, words), dtype, count)


def rand(
    *size: Any,
    dtype: Any = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1) (torch.rand); not PyTorch's numbers."""
    return _drawn(_uniform, size, dtype, device, generator, requires_grad)


def randn(
    *size: Any,
    dtype: Any = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal random numbers (torch.randn); not PyTorch's numbers."""
    return _drawn(_normal, size, dtype, device, generator, requires_grad)


def rand_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Uniform random numbers in the shape of another tensor (torch.rand_like).

    Of a tensor of integers, where PyTorch refuses, they have the default dtype.
    """
    return _like(rand, input, dtype or _floating_dtype(input), device, requires_grad)


def randn_like(
    input: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Standard normal random numbers in the shape of another tensor (torch.randn_like).

    Of a tensor of integers, where PyTorch refuses, they have the default dtype.
    """
    return _like(randn, input, dtype or _floating_dtype(input), device, requires_grad)


def _floating_dtype(input: Tensor) -> np.dtype:
    return input.dtype if is_floating(input.dtype) else get_default_dtype()


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    dtype: Any = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
) -> Tensor:
    """Random integers in [low, high); `randint(high, size)` begins at 0 (torch.randint)."""
    if size is None:
        low, high, size = 0, low, high
    if not low < high:
        raise RuntimeError(f"randint: expected low < high, got {low} and {high}")
    if high - low > 2**32:
        raise RuntimeError(f"randint: expected high - low <= 2**32, got {high - low}")
    shape = _shape((size,))
    count = math.prod(shape)
    with use_device(device):
        xp = module_on(device)
        bits = (generator or default_generator()).bits(xp, count)
        # The upper half of a 64-bit product: each value is likely to within 2**-32.
        drawn = ((bits >> xp.uint64(32)) * xp.uint64(high - low)) >> xp.uint64(32)
        return wrap((drawn.astype(xp.int64) + low).reshape(shape).astype(dtype or xp.int64))


def randperm(
    n: int, dtype: Any = None, device: DeviceLike = None, generator: Generator | None = None
) -> Tensor:
    """A random permutation of 0 ... n - 1 (torch.randperm)."""
    with use_device(device):
        xp = module_on(device)
        bits = (generator or default_generator()).bits(xp, n)
        return wrap(xp.argsort(bits).astype(dtype or xp.int64))
