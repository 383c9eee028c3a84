"""Functions that make tensors of random numbers (torch.rand, torch.randn, ...)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array, Generator, default_generator, module_on, random as rng, use_device
from dtrain.backend.dtypes import DTypeLike, get_default_dtype, is_floating
from dtrain.functions.creation.base import DeviceLike, factory, make_leaf, parse_shape
from dtrain.functions.creation.filled import make_like

__all__ = [
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]


def _drawn(
    draw: Callable,
    size: tuple,
    dtype: DTypeLike,
    where: DeviceLike,
    generator: Any,
    grad: bool,
) -> Tensor:
    shape, dtype = parse_shape(size), np.dtype(dtype or get_default_dtype())
    if not is_floating(dtype):
        raise RuntimeError(f"random numbers of this kind have a floating dtype, not {dtype}")
    count = math.prod(shape)
    with use_device(where):
        array = draw(generator or default_generator(), module_on(where), dtype, count)
        return make_leaf(array.reshape(shape), grad)


def _uniform(generator: Generator, xp: Any, dtype: np.dtype, count: int) -> Array:
    return rng.uniform(generator.bits(xp, rng.words_for(count, dtype)), dtype, count)


def _normal(generator: Generator, xp: Any, dtype: np.dtype, count: int) -> Array:
    words = rng.words_for(count + count % 2, np.dtype("f4") if dtype.itemsize < 8 else dtype)
    return rng.normal(generator.bits(xp, words), dtype, count)


@factory
def rand(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1) (torch.rand); not PyTorch's numbers."""
    return _drawn(_uniform, size, dtype, device, generator, requires_grad)


@factory
def randn(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal random numbers (torch.randn); not PyTorch's numbers."""
    return _drawn(_normal, size, dtype, device, generator, requires_grad)


@factory
def rand_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in the shape of another tensor (torch.rand_like).

    Of a tensor of integers, where PyTorch refuses, they have the default dtype.
    """
    make = functools.partial(rand, generator=generator)
    return make_like(make, input, dtype or _floating_dtype(input), device, requires_grad)


@factory
def randn_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal random numbers in the shape of another tensor (torch.randn_like).

    Of a tensor of integers, where PyTorch refuses, they have the default dtype.
    """
    make = functools.partial(randn, generator=generator)
    return make_like(make, input, dtype or _floating_dtype(input), device, requires_grad)


def _floating_dtype(input: Tensor) -> np.dtype:
    return input.dtype if is_floating(input.dtype) else get_default_dtype()


@factory
def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers in [low, high); `randint(high, size)` begins at 0 (torch.randint)."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None or low is None:
        low, high = 0, low if high is None else high
    shape = parse_shape((size,))
    with use_device(device):
        xp = module_on(device)
        drawn = draw_integers(generator or default_generator(), xp, math.prod(shape), low, high)
        return make_leaf(drawn.reshape(shape).astype(dtype or xp.int64), requires_grad)


def draw_integers(generator: Generator, xp: Any, count: int, low: int, high: int) -> Array:
    """`count` int64 numbers in [low, high)."""
    if not low < high:
        raise RuntimeError(f"randint: expected low < high, got {low} and {high}")
    bits = generator.bits(xp, count)
    if high - low > 2**32:
        return (bits % xp.uint64(high - low)).astype(xp.int64) + low
    # The upper half of a 64-bit product: each value is likely to within 2**-32.
    drawn = ((bits >> xp.uint64(32)) * xp.uint64(high - low)) >> xp.uint64(32)
    return drawn.astype(xp.int64) + low


@factory
def randint_like(
    input: Tensor,
    low: Any = None,
    high: Any = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers in [low, high), or from 0, in another's shape (torch.randint_like)."""
    if high is None or low is None:
        low, high = 0, low if high is None else high
    return randint(
        low,
        high,
        input.shape,
        dtype=dtype or input.dtype,
        device=input.device if device is None else device,
        generator=generator,
        requires_grad=requires_grad,
    )


@factory
def randperm(
    n: int,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A random permutation of 0 ... n - 1 (torch.randperm)."""
    parse_shape((n,))
    with use_device(device):
        xp = module_on(device)
        bits = (generator or default_generator()).bits(xp, n)
        return make_leaf(xp.argsort(bits).astype(dtype or xp.int64), requires_grad)
