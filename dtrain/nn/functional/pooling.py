"""Maxima, means and norms of windows along one, two or three axes, as functions.

Windows are pooled two axes at a time: over the last two, then over the depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import dtypes
from dtrain.functions.creation import tensor
from dtrain.nn.functional.spatial import (
    Numbers,
    as_given,
    at_least,
    batched,
    one_to_three,
    per_axis,
)
from dtrain.primitives import indexing, pooling
from dtrain.primitives.padding import pad_constant


def _max_pool(
    axes: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of the last {n} dimensions (torch.nn.functional.max_pool{n}d).

    input: (n, c, ...) or (c, ...). With `return_indices` also its places in the flat input of a
    channel; with `ceil_mode` also windows that begin in the input and end beyond it.
    """
    name, x = f"max_pool{axes}d", batched(f"max_pool{axes}d", input, axes)
    _require_numbers(name, x)
    how = _options(axes, kernel_size, stride, padding, dilation)
    counts = _counts(name, x, *how, ceil_mode)
    kernel, strides, pads, spread = how
    if return_indices:
        places = [
            _places(*options) for options in zip(x.shape[2:], counts, kernel, strides, pads, spread)
        ]
        out, where = maxima(x, places)
        return as_given(out, input), as_given(where, input)
    lowest = -math.inf if dtypes.is_floating(x.dtype) else int(np.iinfo(x.dtype).min)
    x = _pad_end(x, counts, *how, lowest)
    out = _by_two(
        pooling.max_pool2d, x, kernel=kernel, stride=strides, padding=pads, dilation=spread
    )
    return as_given(out, input)


def _avg_pool(
    axes: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of the last {n} dimensions (torch.nn.functional.avg_pool{n}d).

    input: (n, c, ...) or (c, ...). Padding is zeros, counted or not; `divisor_override` is what
    to divide sums by instead.
    """
    name, x = f"avg_pool{axes}d", batched(f"avg_pool{axes}d", input, axes)
    _require_numbers(name, x)
    if divisor_override == 0:
        raise RuntimeError(f"{name}: expected a divisor_override that is not 0")
    how = _options(axes, kernel_size, stride, padding, 1)
    kernel, strides, pads, _ = how
    counts = _counts(name, x, *how, ceil_mode)
    sizes = [
        _window_sizes(*options, count_include_pad)
        for options in zip(x.shape[2:], counts, kernel, strides, pads)
    ]
    x = _pad_end(x, counts, *how, 0)
    if not dtypes.is_floating(x.dtype):
        divisor = divisor_override or _outer(sizes)
        sums = mean_pool(x.to(dtypes.float64), kernel, strides, pads) * math.prod(kernel)
        out = sums.round().to(x.dtype).div(divisor, rounding_mode="trunc")
        return as_given(out, input)
    out = mean_pool(x, kernel, strides, pads)
    if divisor_override:
        out = out * (math.prod(kernel) / divisor_override)
    elif any((size != k).any() for size, k in zip(sizes, kernel)):
        scale = math.prod(kernel) / _outer(sizes)
        out = out * tensor(scale, dtype=x.dtype, device=x.device)
    return as_given(out, input)


def _lp_pool(
    axes: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
) -> Tensor:
    """sum(x ** p) ** (1 / p) over each window (torch.nn.functional.lp_pool{n}d)."""
    if math.isinf(norm_type):
        sign = 1 if norm_type > 0 else -1
        return sign * MAX[axes](sign * input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    means = AVG[axes](input**norm_type, kernel_size, stride, 0, ceil_mode)
    count = math.prod(per_axis(kernel_size, axes, "kernel_size"))
    return (means.sign() * means.abs().relu() * count) ** (1 / norm_type)


max_pool1d, max_pool2d, max_pool3d = one_to_three(_max_pool)
avg_pool1d, avg_pool2d, avg_pool3d = one_to_three(_avg_pool)
lp_pool1d, lp_pool2d, lp_pool3d = one_to_three(_lp_pool)

#: Functions by the number of axes.
MAX = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}
AVG = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}


# --- where windows are ---


def _require_numbers(name: str, x: Tensor) -> None:
    if x.dtype == dtypes.bool_:
        raise NotImplementedError(f"{name}: expected numbers, got a tensor of dtype bool")
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}: expected an input with elements in all dimensions but the batch's, got "
            f"{x.shape}"
        )


def _options(
    axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    kernel = per_axis(kernel_size, axes, "kernel_size")
    strides = kernel if stride in (None, (), []) else per_axis(stride, axes, "stride")
    pads, spread = per_axis(padding, axes, "padding"), per_axis(dilation, axes, "dilation")
    at_least(1, kernel_size=kernel, stride=strides, dilation=spread)
    at_least(0, padding=pads)
    if any(2 * p > d * (k - 1) + 1 for p, k, d in zip(pads, kernel, spread)):
        raise RuntimeError(
            f"padding={pads} is more than half of the kernel {kernel} (dilation {spread})"
        )
    return kernel, strides, pads, spread


def _counts(
    name: str,
    x: Tensor,
    kernel: Numbers,
    stride: Numbers,
    padding: Numbers,
    dilation: Numbers,
    ceil_mode: bool,
) -> Numbers:
    """How many windows there are along each axis; all begin before the padding at the end."""
    counts = []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation):
        rest = n + 2 * p - d * (k - 1) - 1
        count = (rest + (s - 1 if ceil_mode else 0)) // s + 1
        counts.append(count - 1 if ceil_mode and (count - 1) * s >= n + p else count)
    if min(counts) < 1:
        raise RuntimeError(
            f"{name}: the kernel {kernel} (dilation {dilation}) is larger than the input "
            f"{x.shape} with its padding {padding}"
        )
    return tuple(counts)


def _pad_end(
    x: Tensor,
    counts: Numbers,
    kernel: Numbers,
    stride: Numbers,
    padding: Numbers,
    dilation: Numbers,
    value: float,
) -> Tensor:
    """x with as much at the end as windows reach beyond its padding."""
    beyond = [
        max(0, (count - 1) * s + d * (k - 1) + 1 - n - 2 * p)
        for n, count, k, s, p, d in zip(x.shape[2:], counts, kernel, stride, padding, dilation)
    ]
    if not any(beyond):
        return x
    widths = ((0, 0), (0, 0), *((0, width) for width in beyond))
    return pad_constant(x, widths=widths, value=value)


def _places(n: int, count: int, k: int, s: int, p: int, d: int) -> np.ndarray:
    """What each window sees of an axis, (count, k); what is not there is its first place."""
    places = np.arange(count)[:, None] * s - p + np.arange(k) * d
    inside = (places >= 0) & (places < n)
    first = np.take_along_axis(places, inside.argmax(1)[:, None], 1)
    return np.where(inside, places, first).clip(0, n - 1)


def _window_sizes(n: int, count: int, k: int, s: int, p: int, with_padding: bool) -> np.ndarray:
    """How many elements of an axis each window has."""
    start = np.arange(count) * s - p
    end = np.minimum(start + k, n + p)
    return end - start if with_padding else np.minimum(end, n) - np.maximum(start, 0)


def _outer(sizes: Sequence[np.ndarray]) -> Any:
    out = sizes[0]
    for size in sizes[1:]:
        out = out[..., None] * size
    return out


# --- pooling over any number of axes ---


def mean_pool(x: Tensor, kernel: Numbers, stride: Numbers, padding: Numbers) -> Tensor:
    """The mean of each window, padding counted as zeros. x: (n, c, ...)."""
    return _by_two(pooling.avg_pool2d, x, kernel=kernel, stride=stride, padding=padding)


def _by_two(rule: Callable[..., Tensor], x: Tensor, **options: Numbers) -> Tensor:
    """A rule for two axes taken over one, two or three."""
    none = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
    last = {name: (none[name], *numbers)[-2:] for name, numbers in options.items()}
    if x.ndim == 3:
        return rule(x.unsqueeze(2), **last).squeeze(2)
    if x.ndim == 4:
        return rule(x, **last)
    n, c, d, h, w = x.shape
    planes = rule(x.reshape(n, c * d, h, w), **last)
    size = planes.shape[2:]
    first = {name: (numbers[0], none[name]) for name, numbers in options.items()}
    lines = rule(planes.reshape(n, c, d, math.prod(size)), **first)
    return lines.reshape(n, c, lines.shape[2], *size)


def maxima(x: Tensor, places: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """The maximum of each window, and its place in a channel. x: (n, c, ...).

    Parameters
    ----------
    places : what windows see of each axis, (windows, elements) or (n, c, windows, elements)
    """
    axes, lead = len(places), places[0].shape[:-2]
    flat: Any = 0
    for i, (size, of_axis) in enumerate(zip(x.shape[2:], places)):
        shape = [1] * 2 * axes
        shape[i], shape[axes + i] = of_axis.shape[-2:]
        flat = flat * size + of_axis.reshape(*lead, *shape)
    counts = flat.shape[len(lead) : len(lead) + axes]
    flat = flat.reshape(*lead, math.prod(counts), math.prod(flat.shape[len(lead) + axes :]))
    lines = x.flatten(2)
    where = pooling.window_argmax(lines, windows=flat)
    out = indexing.gather(lines, axis=2, index=where.array)
    return out.reshape(*x.shape[:2], *counts), where.reshape(*x.shape[:2], *counts)
