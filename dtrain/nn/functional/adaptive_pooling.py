"""Pooling to a size that is given, and back: adaptive, fractional, unpooling, as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.functions.creation import zeros
from dtrain.functions.creation.random import rand
from dtrain.nn.functional.pooling import MAX, maxima, mean_pool
from dtrain.nn.functional.spatial import (
    Numbers,
    as_given,
    at_least,
    batched,
    one_to_three,
    per_axis,
)
from dtrain.primitives import resampling, scattering


def _adaptive_avg_pool(axes: int, input: Tensor, output_size: Any) -> Tensor:
    """Means of windows such that {n} axes get a size (torch.nn.functional.adaptive_avg_pool{n}d).

    input: (n, c, ...) or (c, ...). A size that is None stays what it is. Window i of o covers
    [floor(i n / o), ceil((i + 1) n / o)).
    """
    x, size = _adapted(f"adaptive_avg_pool{axes}d", axes, input, output_size)
    if set(size) == {1}:
        return as_given(x.mean(tuple(range(2, x.ndim)), keepdim=True), input)
    whole = tuple(_whole(n, o) or 1 for n, o in zip(x.shape[2:], size))
    if max(whole) > 1:
        x = mean_pool(x, whole, whole, (0,) * axes)
    for axis, o in enumerate(size, 2):
        if x.shape[axis] != o:
            places, inside = _windows(x.shape[axis], o)
            weights = inside / inside.sum(1, keepdims=True)
            x = resampling.resample(
                x, axis=axis, band=resampling.Band(places, weights, x.shape[axis])
            )
    return as_given(x, input)


def _adaptive_max_pool(
    axes: int, input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Maxima of windows such that {n} axes get a size (torch.nn.functional.adaptive_max_pool{n}d).

    input: (n, c, ...) or (c, ...). Windows are those of adaptive_avg_pool{n}d. With
    `return_indices` also the places of the maxima in the flat input of a channel.
    """
    x, size = _adapted(f"adaptive_max_pool{axes}d", axes, input, output_size)
    whole = tuple(_whole(n, o) for n, o in zip(x.shape[2:], size))
    if all(whole) and not return_indices:
        return MAX[axes](input, whole)
    out, where = maxima(x, [_windows(n, o)[0] for n, o in zip(x.shape[2:], size)])
    return (
        (as_given(out, input), as_given(where, input)) if return_indices else as_given(out, input)
    )


def _fractional_max_pool(
    axes: int,
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of windows at random places (torch.nn.functional.fractional_max_pool{n}d).

    input: (n, c, ...) or (c, ...). The output has a size, or has a ratio of the input's; a window
    begins one or more elements after the one before (Graham 2014).
    """
    name, x = f"fractional_max_pool{axes}d", batched(f"fractional_max_pool{axes}d", input, axes)
    kernel = per_axis(kernel_size, axes, "kernel_size")
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name}: expected an output_size or an output_ratio, got neither")
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * axes
        output_size = tuple(int(n * ratio) for n, ratio in zip(x.shape[2:], ratios))
    size = per_axis(output_size, axes, "output_size")
    at_least(1, kernel_size=kernel, output_size=size)
    if any(o + k - 1 > n for n, k, o in zip(x.shape[2:], kernel, size)):
        raise RuntimeError(
            f"{name}: the output {size} and the kernel {kernel} are too large for the input "
            f"{x.shape}"
        )
    samples = _random_samples
    if samples is None:
        samples = rand(*x.shape[:2], axes, dtype=x.dtype, device=x.device)
    samples = samples[: x.shape[0]]
    if samples.shape != (*x.shape[:2], axes) or samples.dtype != x.dtype:
        raise RuntimeError(
            f"{name}: expected _random_samples of shape {(*x.shape[:2], axes)} and dtype "
            f"{x.dtype}, got {samples.shape} and {samples.dtype}"
        )
    draws = np.moveaxis(samples.detach().cpu().numpy(), -1, 0)
    draws = draws[::-1] if axes == 2 else draws  # as PyTorch has them
    starts = [_starts(*each) for each in zip(draws, x.shape[2:], size, kernel)]
    places = [first[..., None] + np.arange(k) for first, k in zip(starts, kernel)]
    out, where = maxima(x, places)
    return (
        (as_given(out, input), as_given(where, input)) if return_indices else as_given(out, input)
    )


def _max_unpool(
    axes: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Zeros, and maxima at their places (torch.nn.functional.max_unpool{n}d).

    input, indices: (n, c, ...) or (c, ...), as max_pool{n}d gives them with `return_indices`.
    """
    name, x = f"max_unpool{axes}d", batched(f"max_unpool{axes}d", input, axes)
    kernel = per_axis(kernel_size, axes, "kernel_size")
    strides = kernel if stride is None else per_axis(stride, axes, "stride")
    pads = per_axis(padding, axes, "padding")
    size = _unpooled_size(name, x.shape[2:], kernel, strides, pads, output_size)
    if indices.shape != input.shape or indices.dtype != "int64":
        raise RuntimeError(
            f"{name}: expected int64 indices of shape {input.shape}, got {indices.dtype} and "
            f"{indices.shape}"
        )
    planes = x.shape[0] * x.shape[1]
    flat = indices.array.reshape(planes, math.prod(x.shape[2:]))
    scattering.check_indices(flat, math.prod(size), name)
    rows = array_module(flat).arange(planes)[:, None]
    empty = zeros(planes, math.prod(size), dtype=x.dtype, device=x.device)
    out = scattering.put(empty, x.reshape(flat.shape), index=(rows, flat), accumulate=False)
    return as_given(out.reshape(*x.shape[:2], *size), input)


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = one_to_three(_adaptive_avg_pool)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = one_to_three(_adaptive_max_pool)
_, fractional_max_pool2d, fractional_max_pool3d = one_to_three(_fractional_max_pool)
max_unpool1d, max_unpool2d, max_unpool3d = one_to_three(_max_unpool)


def _adapted(name: str, axes: int, input: Tensor, output_size: Any) -> tuple[Tensor, Numbers]:
    """The input with a batch, and the size of the output."""
    if 1 < axes >= input.ndim:
        raise ValueError(
            f"{name}: expected an input of {axes + 1} dimensions or more, got {input.shape}"
        )
    x = batched(name, input, axes)
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}: expected an input with elements in all dimensions but the batch's, got "
            f"{x.shape}"
        )
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    sizes = [n if o is None else o for n, o in zip(x.shape[2:], given)]
    if len(given) != axes:
        raise RuntimeError(f"{name}: expected an output_size for each of {axes} axes, got {given}")
    out = per_axis(sizes, axes, "output_size")
    at_least(0, output_size=out)
    return x, out


def _whole(n: int, o: int) -> int:
    """How many elements each of o windows has, if all have as many and none is in two; else 0."""
    return n // o if o and n % o == 0 else 0


def _windows(n: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    """What each of o windows sees of n elements, (o, width), and which of that it sees once."""
    i = np.arange(o)
    start, end = i * n // max(o, 1), -(-(i + 1) * n // max(o, 1))
    places = start[:, None] + np.arange((end - start).max(initial=1))
    return np.minimum(places, end[:, None] - 1), places < end[:, None]


def _starts(draws: np.ndarray, n: int, o: int, k: int) -> np.ndarray:
    """Where each of o windows begins, (n, c, o): the last at the end."""
    draws = draws[..., None]
    if o == 1:
        return np.full((*draws.shape[:-1], 1), n - k)
    step = draws.dtype.type((n - k) / (o - 1))
    starts = ((np.arange(o, dtype=draws.dtype) + draws) * step).astype("int64")
    starts -= (draws * step).astype("int64")
    starts[..., -1] = n - k
    return starts


def _unpooled_size(
    name: str,
    before: Numbers,
    kernel: Numbers,
    stride: Numbers,
    padding: Numbers,
    output_size: Any,
) -> Numbers:
    size = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(before, stride, kernel, padding))
    if output_size is not None:
        axes = len(before)
        if len(output_size) not in (axes, axes + 2):
            raise ValueError(
                f"{name}: expected an output_size of {axes} or {axes + 2} numbers, got "
                f"{tuple(output_size)}"
            )
        wanted = tuple(output_size)[-axes:]
        if any(not n - s < o < n + s for o, n, s in zip(wanted, size, stride)):
            raise ValueError(
                f"{name}: expected an output_size that differs from {size} by less than the "
                f"stride {stride}, got {wanted}"
            )
        size = wanted
    if min(size) < 0:
        raise ValueError(f"{name}: the output would have the size {size}")
    return size
