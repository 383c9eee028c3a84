"""Max, mean and p-norm pooling over one, two or three axes, as functions.

Volumes are pooled over the last two axes first, then over the depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import dtypes
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import tensor
from dtrain.functions.half_precision import in_float32
from dtrain.functions.operands import require_real
from dtrain.nn.functional.spatial import (
    Ints,
    Numbers,
    at_least,
    batched,
    implemented_by,
    like_input,
    per_axis,
)
from dtrain.primitives import indexing, pooling
from dtrain.primitives.padding import pad_constant


def max_pool_nd(
    axes: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Implements max_pool1d, max_pool2d and max_pool3d (`axes`: 1, 2, 3)."""
    name, x = f"max_pool{axes}d", batched(f"max_pool{axes}d", input, axes)
    _require_numbers(name, x)
    options = _options(axes, kernel_size, stride, padding, dilation)
    counts = _counts(name, x, *options, ceil_mode)
    kernel, strides, pads, spread = options
    if return_indices:
        indices = [
            _window_indices(*axis)
            for axis in zip(x.shape[2:], counts, kernel, strides, pads, spread)
        ]
        out, where = maxima(x, indices)
        return like_input(out, input), like_input(where, input)
    lowest = -math.inf if dtypes.is_floating(x.dtype) else int(np.iinfo(x.dtype).min)
    x = _pad_end(x, counts, *options, lowest)
    out = _pool_pairs(
        pooling.max_pool2d, x, kernel=kernel, stride=strides, padding=pads, dilation=spread
    )
    return like_input(out, input)


@in_float32
def avg_pool_nd(
    axes: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Implements avg_pool1d, avg_pool2d and avg_pool3d (`axes`: 1, 2, 3)."""
    name, x = f"avg_pool{axes}d", batched(f"avg_pool{axes}d", input, axes)
    _require_numbers(name, x)
    if divisor_override == 0:
        raise RuntimeError(f"{name}: expected a divisor_override that is not 0")
    options = _options(axes, kernel_size, stride, padding, 1)
    kernel, strides, pads, _ = options
    counts = _counts(name, x, *options, ceil_mode)
    sizes = [
        _window_sizes(*axis, count_include_pad)
        for axis in zip(x.shape[2:], counts, kernel, strides, pads)
    ]
    x = _pad_end(x, counts, *options, 0)
    if not dtypes.is_floating(x.dtype):
        divisor = divisor_override or _outer(sizes)
        sums = mean_pool(x.to(dtypes.float64), kernel, strides, pads) * math.prod(kernel)
        out = sums.round().to(x.dtype).div(divisor, rounding_mode="trunc")
        return like_input(out, input)
    out = mean_pool(x, kernel, strides, pads)
    if divisor_override:
        out = out * (math.prod(kernel) / divisor_override)
    elif any((size != k).any() for size, k in zip(sizes, kernel)):
        scale = math.prod(kernel) / _outer(sizes)
        out = out * tensor(scale, dtype=x.dtype, device=x.device)
    return like_input(out, input)


@in_float32
def _lp_pool(
    axes: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Implements lp_pool1d, lp_pool2d and lp_pool3d (`axes`: 1, 2, 3)."""
    if math.isinf(norm_type):
        sign = 1 if norm_type > 0 else -1
        return sign * max_pool_nd(axes, sign * input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    means = avg_pool_nd(axes, input**norm_type, kernel_size, stride, 0, ceil_mode)
    count = math.prod(per_axis(kernel_size, axes, "kernel_size"))
    return (means.sign() * means.abs().relu() * count) ** (1 / norm_type)


@implemented_by(max_pool_nd, axes=1)
def max_pool1d() -> None:
    """The maximum of each window (torch.nn.functional.max_pool1d).

    input (n, c, l) or (c, l). `return_indices`: returns (maxima, their flat indices in a
    channel); `ceil_mode`: includes windows that begin in the input and end beyond it.
    """


@implemented_by(max_pool_nd, axes=2)
def max_pool2d() -> None:
    """The maximum of each window (torch.nn.functional.max_pool2d).

    input (n, c, h, w) or (c, h, w). `return_indices`: returns (maxima, their flat indices in a
    channel); `ceil_mode`: includes windows that begin in the input and end beyond it.
    """


@autocasts
@implemented_by(max_pool_nd, axes=3)
def max_pool3d() -> None:
    """The maximum of each window (torch.nn.functional.max_pool3d).

    input (n, c, d, h, w) or (c, d, h, w). `return_indices`: returns (maxima, their flat indices
    in a channel); `ceil_mode`: includes windows that begin in the input and end beyond it.
    """


@implemented_by(avg_pool_nd, axes=1)
def avg_pool1d() -> None:
    """The mean of each window (torch.nn.functional.avg_pool1d).

    input (n, c, l) or (c, l). Padding counts as zeros if `count_include_pad`;
    `divisor_override` replaces the number of elements.
    """


@implemented_by(avg_pool_nd, axes=2)
def avg_pool2d() -> None:
    """The mean of each window (torch.nn.functional.avg_pool2d).

    input (n, c, h, w) or (c, h, w). Padding counts as zeros if `count_include_pad`;
    `divisor_override` replaces the number of elements.
    """


@autocasts
@implemented_by(avg_pool_nd, axes=3)
def avg_pool3d() -> None:
    """The mean of each window (torch.nn.functional.avg_pool3d).

    input (n, c, d, h, w) or (c, d, h, w). Padding counts as zeros if `count_include_pad`;
    `divisor_override` replaces the number of elements.
    """


@implemented_by(_lp_pool, axes=1)
def lp_pool1d() -> None:
    """(sum of x^p)^(1 / p) over each window, p = norm_type (torch.nn.functional.lp_pool1d).

    input (n, c, l) or (c, l).
    """


@implemented_by(_lp_pool, axes=2)
def lp_pool2d() -> None:
    """(sum of x^p)^(1 / p) over each window, p = norm_type (torch.nn.functional.lp_pool2d).

    input (n, c, h, w) or (c, h, w).
    """


@autocasts
@implemented_by(_lp_pool, axes=3)
def lp_pool3d() -> None:
    """(sum of x^p)^(1 / p) over each window, p = norm_type (torch.nn.functional.lp_pool3d).

    input (n, c, d, h, w) or (c, d, h, w).
    """


# --- positions of windows ---


def _require_numbers(name: str, x: Tensor) -> None:
    require_real(name, x)
    if x.dtype == dtypes.bool_:
        raise NotImplementedError(f"{name}: expected numbers, got a tensor of dtype bool")
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}: expected an input with elements in all dimensions but the batch's, got "
            f"{x.shape}"
        )


def _options(
    axes: int, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    kernel = per_axis(kernel_size, axes, "kernel_size")
    strides = kernel if stride is None or stride in ((), []) else per_axis(stride, axes, "stride")
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
    """The number of windows along each axis; every window begins before the padding at the end."""
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
    """Pad x at the end by as much as the windows reach beyond its padding."""
    beyond = [
        max(0, (count - 1) * s + d * (k - 1) + 1 - n - 2 * p)
        for n, count, k, s, p, d in zip(x.shape[2:], counts, kernel, stride, padding, dilation)
    ]
    if not any(beyond):
        return x
    widths = ((0, 0), (0, 0), *((0, width) for width in beyond))
    return pad_constant(x, widths=widths, value=value)


def _window_indices(n: int, count: int, k: int, s: int, p: int, d: int) -> np.ndarray:
    """The indices of each window along an axis, (count, k); one outside repeats the nearest."""
    indices = np.arange(count)[:, None] * s - p + np.arange(k) * d
    inside = (indices >= 0) & (indices < n)
    first = np.take_along_axis(indices, inside.argmax(1)[:, None], 1)
    last = np.take_along_axis(indices, k - 1 - inside[:, ::-1].argmax(1)[:, None], 1)
    return indices.clip(first, last).clip(0, n - 1)


def _window_sizes(n: int, count: int, k: int, s: int, p: int, with_padding: bool) -> np.ndarray:
    """The number of elements of an axis in each window."""
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
    """The mean of each window, with padding as zeros. x: (n, c, ...)."""
    return _pool_pairs(pooling.avg_pool2d, x, kernel=kernel, stride=stride, padding=padding)


def _pool_pairs(pool: Callable[..., Tensor], x: Tensor, **options: Numbers) -> Tensor:
    """Apply a primitive that pools two axes to one, two or three axes."""
    none = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
    last = {name: (none[name], *numbers)[-2:] for name, numbers in options.items()}
    if x.ndim == 3:
        return pool(x.unsqueeze(2), **last).squeeze(2)
    if x.ndim == 4:
        return pool(x, **last)
    n, c, d, h, w = x.shape
    planes = pool(x.reshape(n, c * d, h, w), **last)
    size = planes.shape[2:]
    first = {name: (numbers[0], none[name]) for name, numbers in options.items()}
    lines = pool(planes.reshape(n, c, d, math.prod(size)), **first)
    return lines.reshape(n, c, lines.shape[2], *size)


def maxima(x: Tensor, indices: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """The maximum of each window, and its flat index in the channel. x: (n, c, ...).

    Parameters
    ----------
    indices : the indices of the windows along each axis, (windows, elements) or
        (n, c, windows, elements)
    """
    axes, lead = len(indices), indices[0].shape[:-2]
    flat: Any = 0
    for i, (size, of_axis) in enumerate(zip(x.shape[2:], indices)):
        shape = [1] * 2 * axes
        shape[i], shape[axes + i] = of_axis.shape[-2:]
        flat = flat * size + of_axis.reshape(*lead, *shape)
    counts = flat.shape[len(lead) : len(lead) + axes]
    flat = flat.reshape(*lead, math.prod(counts), math.prod(flat.shape[len(lead) + axes :]))
    lines = x.flatten(2)
    where = pooling.window_argmax(lines, windows=flat)
    out = indexing.gather(lines, axis=2, index=where.array)
    return out.reshape(*x.shape[:2], *counts), where.reshape(*x.shape[:2], *counts)
