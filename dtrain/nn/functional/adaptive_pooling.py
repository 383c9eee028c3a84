"""Pooling to a given output size: adaptive and fractional; and max unpooling, as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import zeros
from dtrain.functions.creation.random import rand
from dtrain.functions.half_precision import in_float32
from dtrain.functions.operands import require_real
from dtrain.nn.functional.pooling import max_pool_nd, maxima, mean_pool
from dtrain.nn.functional.spatial import (
    Ints,
    Numbers,
    at_least,
    batched,
    implemented_by,
    like_input,
    per_axis,
)
from dtrain.primitives import resampling, scattering


@in_float32
def _adaptive_avg_pool(axes: int, input: Tensor, output_size: Any) -> Tensor:
    """Implements adaptive_avg_pool1d, 2d and 3d (`axes`: 1, 2, 3)."""
    x, size = _check_output_size(f"adaptive_avg_pool{axes}d", axes, input, output_size)
    if set(size) == {1}:
        return like_input(x.mean(tuple(range(2, x.ndim)), keepdim=True), input)
    whole = tuple(_equal_width(n, o) or 1 for n, o in zip(x.shape[2:], size))
    if max(whole) > 1:
        x = mean_pool(x, whole, whole, (0,) * axes)
    for axis, o in enumerate(size, 2):
        if x.shape[axis] != o:
            indices, inside = _windows(x.shape[axis], o)
            weights = np.where(inside, 1 / inside.sum(1, keepdims=True), np.nan)
            x = resampling.resample(
                x, axis=axis, band=resampling.Band(indices, weights, x.shape[axis])
            )
    return like_input(x, input)


def _adaptive_max_pool(
    axes: int, input: Tensor, output_size: Any, return_indices: bool = False
) -> Any:
    """Implements adaptive_max_pool1d, 2d and 3d (`axes`: 1, 2, 3)."""
    require_real(f"adaptive_max_pool{axes}d", input)
    x, size = _check_output_size(f"adaptive_max_pool{axes}d", axes, input, output_size)
    whole = tuple(_equal_width(n, o) for n, o in zip(x.shape[2:], size))
    if all(whole) and not return_indices:
        return max_pool_nd(axes, input, whole)
    out, where = maxima(x, [_windows(n, o)[0] for n, o in zip(x.shape[2:], size)])
    return (
        (like_input(out, input), like_input(where, input))
        if return_indices
        else like_input(out, input)
    )


def _fractional_max_pool(
    axes: int,
    input: Tensor,
    kernel_size: Ints,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Implements fractional_max_pool2d and fractional_max_pool3d (`axes`: 2, 3)."""
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
    draws = draws[::-1] if axes == 2 else draws  # PyTorch's order
    starts = [_starts(*each) for each in zip(draws, x.shape[2:], size, kernel)]
    indices = [first[..., None] + np.arange(k) for first, k in zip(starts, kernel)]
    out, where = maxima(x, indices)
    return (
        (like_input(out, input), like_input(where, input))
        if return_indices
        else like_input(out, input)
    )


def _max_unpool(
    axes: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:
    """Implements max_unpool1d, max_unpool2d and max_unpool3d (`axes`: 1, 2, 3)."""
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
    return like_input(out.reshape(*x.shape[:2], *size), input)


@implemented_by(_adaptive_avg_pool, axes=1)
def adaptive_avg_pool1d() -> None:
    """Mean pooling to output_size (torch.nn.functional.adaptive_avg_pool1d).

    input (n, c, l) or (c, l). Window i of o covers [floor(i n / o), ceil((i + 1) n / o));
    a size of None keeps the axis as it is.
    """


@implemented_by(_adaptive_avg_pool, axes=2)
def adaptive_avg_pool2d() -> None:
    """Mean pooling to output_size (torch.nn.functional.adaptive_avg_pool2d).

    input (n, c, h, w) or (c, h, w). Window i of o covers [floor(i n / o), ceil((i + 1) n / o));
    a size of None keeps the axis as it is.
    """


@autocasts
@implemented_by(_adaptive_avg_pool, axes=3)
def adaptive_avg_pool3d() -> None:
    """Mean pooling to output_size (torch.nn.functional.adaptive_avg_pool3d).

    input (n, c, d, h, w) or (c, d, h, w). Window i of o covers [floor(i n / o), ceil((i + 1) n /
    o)); a size of None keeps the axis as it is.
    """


@implemented_by(_adaptive_max_pool, axes=1)
def adaptive_max_pool1d() -> None:
    """Max pooling to output_size (torch.nn.functional.adaptive_max_pool1d).

    input (n, c, l) or (c, l); windows as in adaptive_avg_pool1d. `return_indices`: returns
    (maxima, their flat indices in a channel).
    """


@implemented_by(_adaptive_max_pool, axes=2)
def adaptive_max_pool2d() -> None:
    """Max pooling to output_size (torch.nn.functional.adaptive_max_pool2d).

    input (n, c, h, w) or (c, h, w); windows as in adaptive_avg_pool2d. `return_indices`: returns
    (maxima, their flat indices in a channel).
    """


@autocasts
@implemented_by(_adaptive_max_pool, axes=3)
def adaptive_max_pool3d() -> None:
    """Max pooling to output_size (torch.nn.functional.adaptive_max_pool3d).

    input (n, c, d, h, w) or (c, d, h, w); windows as in adaptive_avg_pool3d. `return_indices`:
    returns (maxima, their flat indices in a channel).
    """


@autocasts
@implemented_by(_fractional_max_pool, axes=2)
def fractional_max_pool2d() -> None:
    """Max pooling with random windows (torch.nn.functional.fractional_max_pool2d; Graham 2014).

    input (n, c, h, w) or (c, h, w). Give `output_size`, or `output_ratio` in (0, 1); a window
    begins one or more elements after the previous one.
    """


@autocasts
@implemented_by(_fractional_max_pool, axes=3)
def fractional_max_pool3d() -> None:
    """Max pooling with random windows (torch.nn.functional.fractional_max_pool3d; Graham 2014).

    input (n, c, d, h, w) or (c, d, h, w). Give `output_size`, or `output_ratio` in (0, 1); a window
    begins one or more elements after the previous one.
    """


@autocasts
@implemented_by(_max_unpool, axes=1)
def max_unpool1d() -> None:
    """The maxima of max_pool1d at their indices, zeros elsewhere
    (torch.nn.functional.max_unpool1d).

    input and indices (n, c, l) or (c, l), from max_pool1d with `return_indices`.
    """


@autocasts
@implemented_by(_max_unpool, axes=2)
def max_unpool2d() -> None:
    """The maxima of max_pool2d at their indices, zeros elsewhere
    (torch.nn.functional.max_unpool2d).

    input and indices (n, c, h, w) or (c, h, w), from max_pool2d with `return_indices`.
    """


@autocasts
@implemented_by(_max_unpool, axes=3)
def max_unpool3d() -> None:
    """The maxima of max_pool3d at their indices, zeros elsewhere
    (torch.nn.functional.max_unpool3d).

    input and indices (n, c, d, h, w) or (c, d, h, w), from max_pool3d with `return_indices`.
    """


def _check_output_size(
    name: str, axes: int, input: Tensor, output_size: Any
) -> tuple[Tensor, Numbers]:
    """The input with a batch dimension, and the output size as one int for each axis."""
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


def _equal_width(n: int, o: int) -> int:
    """The width of o windows over n elements if they are equal and do not overlap; else 0."""
    return n // o if o and n % o == 0 else 0


def _windows(n: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices of o windows over n elements, (o, width), and which of them are not padding."""
    i = np.arange(o)
    start, end = i * n // max(o, 1), -(-(i + 1) * n // max(o, 1))
    indices = start[:, None] + np.arange((end - start).max(initial=1))
    return np.minimum(indices, end[:, None] - 1), indices < end[:, None]


def _starts(draws: np.ndarray, n: int, o: int, k: int) -> np.ndarray:
    """The first index of each of o windows, (n, c, o); the last window ends at the end."""
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
