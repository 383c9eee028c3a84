"""Max and mean pooling of x: (n, c, h, w), without padded copies, in the dtype of x.

The loops write into their last arguments. (y, k) is a window, (i, j) an element of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.reference.window import Pair, window_counts


@inlined
def _windows_inside(size: Any, out: Any, stride: Any, first: Any) -> Any:
    """Returns low and high: the windows [low, high) of `out` have first + stride * window in
    [0, size)."""
    low = 0 if first >= 0 else (-first + stride - 1) // stride
    high = 0 if first >= size else (size - 1 - first) // stride + 1
    high = min(high, out)
    return min(low, high), high


@compiled
def _max_pool(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out: np.ndarray
) -> None:
    """out = the maximum of each window; NaN is the largest."""
    n, c, h, w = x.shape
    oh, ow = out.shape[2:]
    for image in range(n):
        for channel in range(c):
            for y in range(oh):
                to = out[image, channel, y]
                to[:] = -np.inf
                for i in range(kernel[0]):
                    row = y * stride[0] + i * dilation[0] - padding[0]
                    if row < 0 or row >= h:
                        continue
                    source = x[image, channel, row]
                    for j in range(kernel[1]):
                        left = j * dilation[1] - padding[1]
                        low, high = _windows_inside(w, ow, stride[1], left)
                        for k in range(low, high):
                            here = source[k * stride[1] + left]
                            to[k] = here if here > to[k] or here != here else to[k]


@compiled
def _max_pool_backward(
    g: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    grad: np.ndarray,
) -> None:
    """Add g to grad at the first maximum, or the last NaN, of each window; grad: zeros."""
    n, c, h, w = x.shape
    oh, ow = out.shape[2:]
    for image in range(n):
        for channel in range(c):
            source, to = x[image, channel], grad[image, channel]
            for y in range(oh):
                top = y * stride[0] - padding[0]
                for k in range(ow):
                    left = k * stride[1] - padding[1]
                    largest = out[image, channel, y, k]
                    at_row, at_column, found = -1, -1, False
                    for i in range(kernel[0]):
                        row = top + i * dilation[0]
                        if found or row < 0 or row >= h:
                            continue
                        for j in range(kernel[1]):
                            column = left + j * dilation[1]
                            if column < 0 or column >= w:
                                continue
                            here = source[row, column]
                            if here == largest or here != here:
                                at_row, at_column, found = row, column, here == here
                            if found:
                                break
                    if at_row >= 0:
                        to[at_row, at_column] += g[image, channel, y, k]


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
                        low, high = _windows_inside(w, ow, stride[1], j - padding[1])
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
                        low, high = _windows_inside(w, ow, stride[1], j - padding[1])
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
) -> np.ndarray:
    """The maximum of each window, (n, c, oh, ow)."""
    out = _empty_output(x, kernel, stride, padding, dilation)
    _max_pool(np.ascontiguousarray(x), kernel, stride, padding, dilation, out)
    return out


def max_pool_backward(
    g: np.ndarray, x: np.ndarray, out: np.ndarray, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair,
) -> np.ndarray:  # fmt: skip
    """The gradient of x: the first of equal maxima of a window gets that of the window."""
    grad = np.zeros(x.shape, x.dtype)
    g, x, out = (np.ascontiguousarray(a) for a in (g, x, out))
    _max_pool_backward(g, x, out, kernel, stride, padding, dilation, grad)
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
