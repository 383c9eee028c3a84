"""Functions that make tensors of random numbers (torch.rand, torch.randn, ...)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import (
    Array,
    Generator,
    array_module,
    default_generator,
    module_on,
    random as rng,
    use_device,
)
from dtrain.backend.dtypes import get_default_dtype, is_complex, is_inexact, real_dtype
from dtrain.functions.creation.base import TensorOptions, factory, make_leaf, parse_shape

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _draw(
    draw: Callable[[Generator, Any, np.dtype, int], Array],
    size: tuple,
    generator: Generator | None,
    options: TensorOptions,
) -> Tensor:
    """A tensor of numbers from draw(generator, array module, dtype, count)."""
    shape, dtype = parse_shape(size), np.dtype(options.get("dtype") or get_default_dtype())
    if not is_inexact(dtype):
        raise RuntimeError(
            f"random numbers of this kind have a floating or complex dtype, not {dtype}"
        )
    with use_device(device := options.get("device")):
        numbers = generator or default_generator()
        count = math.prod(shape)
        if is_complex(dtype):
            array = draw(numbers, module_on(device), real_dtype(dtype), 2 * count).view(dtype)
        else:
            array = draw(numbers, module_on(device), dtype, count)
        return make_leaf(array.reshape(shape), options.get("requires_grad", False))


@factory
def rand(
    *size: Any,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """Uniform random numbers in [0, 1) (torch.rand), from Philox: other numbers than PyTorch's."""
    return _draw(rng.draw_uniform, size, generator, options)


@factory
def randn(
    *size: Any,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """Standard normal random numbers (torch.randn), from Philox: other numbers than PyTorch's.

    Complex ones have a variance of 1: that of each part is 1/2.
    """
    out = _draw(rng.draw_normal, size, generator, options)
    if out.is_complex():
        out.array *= math.sqrt(0.5)
    return out


def draw_for(draw: Callable[..., Array], target: Tensor, generator: Generator | None) -> Array:
    """Random numbers that replace a tensor's: many of them in its own memory, to need no other.

    Parameters
    ----------
    draw : `draw_uniform` or `draw_normal`
    """
    array = target.array
    parts = 2 if target.is_complex() else 1
    in_place = (
        rng.comes_in_blocks(array_module(array), parts * array.size)
        and array.flags.c_contiguous
        and array.flags.writeable
    )
    if not in_place:
        options: TensorOptions = {"dtype": target.dtype, "device": target.device}
        return _draw(draw, (target.shape,), generator, options).array
    flat = array.reshape(-1).view(real_dtype(array.dtype))
    draw(generator or default_generator(), np, flat.dtype, flat.size, flat)
    return array


def _options_like(input: Tensor, options: TensorOptions) -> TensorOptions:
    """The options with the device of a tensor, and its dtype if it is floating, as defaults."""
    if not isinstance(input, Tensor):
        raise TypeError(f"expected a tensor to be like, got {type(input).__name__}")
    dtype = input.dtype if is_inexact(input.dtype) else get_default_dtype()
    device = options.get("device")
    return {
        "dtype": options.get("dtype") or dtype,
        "device": input.device if device is None else device,
        "requires_grad": options.get("requires_grad", False),
    }


@factory
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """Uniform random numbers in the shape of another tensor (torch.rand_like).

    For a tensor of integers, which PyTorch refuses, they have the default dtype.
    """
    return rand(input.shape, generator=generator, **_options_like(input, options))


@factory
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """Standard normal random numbers in the shape of another tensor (torch.randn_like).

    For a tensor of integers, which PyTorch refuses, they have the default dtype.
    """
    return randn(input.shape, generator=generator, **_options_like(input, options))


@factory
def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """Random integers in [low, high); `randint(high, size)` begins at 0 (torch.randint)."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None or low is None:
        low, high = 0, low if high is None else high
    shape = parse_shape((size,))
    with use_device(device := options.get("device")):
        xp = module_on(device)
        drawn = draw_integers(generator or default_generator(), xp, math.prod(shape), low, high)
        integers = drawn.reshape(shape).astype(options.get("dtype") or xp.int64)
        return make_leaf(integers, options.get("requires_grad", False))


def draw_integers(generator: Generator, xp: Any, count: int, low: int, high: int) -> Array:
    """Draw `count` int64 numbers in [low, high)."""
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
    *,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """Random integers in [low, high), or from 0, in another's shape (torch.randint_like)."""
    if high is None or low is None:
        low, high = 0, low if high is None else high
    device = options.get("device")
    options["dtype"] = options.get("dtype") or input.dtype
    options["device"] = input.device if device is None else device
    return randint(low, high, input.shape, generator=generator, **options)


@factory
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    **options: Unpack[TensorOptions],
) -> Tensor:
    """A random permutation of 0 ... n - 1 (torch.randperm)."""
    parse_shape((n,))
    with use_device(device := options.get("device")):
        xp = module_on(device)
        bits = (generator or default_generator()).bits(xp, n)
        permutation = xp.argsort(bits).astype(options.get("dtype") or xp.int64)
        return make_leaf(permutation, options.get("requires_grad", False))
