"""Max and mean pooling of x: (n, c, h, w), without padded copies, in the dtype of x.

The loops write into their last arguments. (y, k) is a window, (i, j) an element of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.reference.window import Pair, window_counts


@inlined
def windows_inside(size: Any, out: Any, stride: Any, first: Any) -> Any:
    """Returns low and high: the windows [low, high) of `out` have first + stride * window in
    [0, size)."""
    low = 0 if first >= 0 else (-first + stride - 1) // stride
    high = 0 if first >= size else (size - 1 - first) // stride + 1
    high = min(high, out)
    return min(low, high), high


@compiled
def _max_pool(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out: np.ndarray,
    positions: np.ndarray,
) -> None:  # fmt: skip
    """out = the maximum of each window; NaN is the largest. positions = where it is there.

    A row's elements whose columns have the same remainder modulo the stride are copied to lie
    together, and slices begin at 0: so that the compiler makes vector code of the inner loop.
    """
    n, c, h, w = x.shape
    oh, ow = out.shape[2:]
    step, pitch = stride[1], w // stride[1] + 1
    parts = np.empty((step, pitch), x.dtype)
    for image in range(n):
        for channel in range(c):
            for y in range(oh):
                to, at = out[image, channel, y], positions[image, channel, y]
                to[:], at[:] = -np.inf, -1
                for i in range(kernel[0]):
                    row = y * stride[0] + i * dilation[0] - padding[0]
                    if row < 0 or row >= h:
                        continue
                    for k in range(step):
                        part, source = parts[k], x[image, channel, row, k:]
                        for q in range((source.size + step - 1) // step):
                            part[q] = source[q * step]
                    for j in range(kernel[1]):
                        left, here = j * dilation[1] - padding[1], np.int32(i * kernel[1] + j)
                        low, high = windows_inside(w, ow, step, left)
                        begin = left // step + low
                        values = parts[left % step, begin : begin + high - low]
                        tops, places = to[low:high], at[low:high]
                        for k in range(values.size):
                            value, top, place = values[k], tops[k], places[k]
                            is_larger = (value > top) | (value != value)
                            tops[k] = value if is_larger else top
                            places[k] = here if is_larger else place
                if at.min() < 0:
                    _place_lowest(y, kernel, stride, padding, dilation, h, w, at)


@compiled
def _place_lowest(
    y: int, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, h: int, w: int,
    at: np.ndarray,
) -> None:  # fmt: skip
    """In windows of -inf alone, whose position is -1, the first element is the maximum."""
    for e in range(kernel[0] * kernel[1]):
        row = y * stride[0] + e // kernel[1] * dilation[0] - padding[0]
        for k in range(at.size):
            column = k * stride[1] + e % kernel[1] * dilation[1] - padding[1]
            if at[k] < 0 and 0 <= row < h and 0 <= column < w:
                at[k] = e


@compiled
def _max_pool_backward(
    g: np.ndarray, positions: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    grad: np.ndarray,
) -> None:  # fmt: skip
    """Add g to grad at the maximum of each window; grad: zeros."""
    n, c, oh, ow = positions.shape
    w = grad.shape[3]
    offsets = np.empty(kernel[0] * kernel[1], np.int64)  # of a position, from the window's begin
    for e in range(offsets.size):
        offsets[e] = e // kernel[1] * dilation[0] * w + e % kernel[1] * dilation[1]
    for image in range(n):
        for channel in range(c):
            to = grad[image, channel].reshape(-1)
            for y in range(oh):
                source, at = g[image, channel, y], positions[image, channel, y]
                begin = (y * stride[0] - padding[0]) * w - padding[1]
                for k in range(ow):
                    if at[k] >= 0:
                        to[begin + k * stride[1] + offsets[at[k]]] += source[k]


@compiled
def _avg_pool(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, out: np.ndarray) -> None:
    """out = the mean of each window, padding counted as zeros."""
    n, c, h, w = x.shape
    oh, ow = out.shape[2:]
    share = x.dtype.type(1 / (kernel[0] * kernel[1]))
    for image in range(n):
        for channel in range(c):
            for y in range(oh):
                to = out[image, channel, y]
                to[:] = 0
                for i in range(kernel[0]):
                    row = y * stride[0] + i - padding[0]
                    if row < 0 or row >= h:
                        continue
                    source = x[image, channel, row]
                    for j in range(kernel[1]):
                        low, high = windows_inside(w, ow, stride[1], j - padding[1])
                        for k in range(low, high):
                            to[k] += source[k * stride[1] + j - padding[1]]
                for k in range(ow):
                    to[k] *= share


@compiled
def _avg_pool_backward(
    g: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, grad: np.ndarray
) -> None:
    """Add g / (kh kw) to grad at each element of each window; grad: zeros."""
    n, c, h, w = grad.shape
    oh, ow = g.shape[2:]
    share = g.dtype.type(1 / (kernel[0] * kernel[1]))
    for image in range(n):
        for channel in range(c):
            for y in range(oh):
                source = g[image, channel, y]
                for i in range(kernel[0]):
                    row = y * stride[0] + i - padding[0]
                    if row < 0 or row >= h:
                        continue
                    to = grad[image, channel, row]
                    for j in range(kernel[1]):
                        low, high = windows_inside(w, ow, stride[1], j - padding[1])
                        for k in range(low, high):
                            to[k * stride[1] + j - padding[1]] += source[k] * share


def _empty_output(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> np.ndarray:
    """An uninitialized array of the shape of the output."""
    size = window_counts(x.shape[2:], kernel, stride, padding, dilation)
    return np.empty((*x.shape[:2], *size), x.dtype)


def max_pool(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of each window, (n, c, oh, ow), and its position in the window."""
    out = _empty_output(x, kernel, stride, padding, dilation)
    positions = np.empty(out.shape, np.int32)
    _max_pool(np.ascontiguousarray(x), kernel, stride, padding, dilation, out, positions)
    return out, positions


def max_pool_backward(
    g: np.ndarray, positions: np.ndarray, hw: Pair, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair,
) -> np.ndarray:  # fmt: skip
    """The gradient of x, (n, c, *hw): the maximum of a window gets that of the window."""
    grad = np.zeros((*g.shape[:2], *hw), g.dtype)
    g = np.ascontiguousarray(g)
    _max_pool_backward(g, positions, kernel, stride, padding, dilation, grad)
    return grad


def avg_pool(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    """The mean of each window, (n, c, oh, ow), padding counted as zeros."""
    out = _empty_output(x, kernel, stride, padding)
    _avg_pool(np.ascontiguousarray(x), kernel, stride, padding, out)
    return out


def avg_pool_backward(
    g: np.ndarray, hw: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    """The gradient of x, (n, c, *hw)."""
    grad = np.zeros((*g.shape[:2], *hw), g.dtype)
    _avg_pool_backward(np.ascontiguousarray(g), kernel, stride, padding, grad)
    return grad
