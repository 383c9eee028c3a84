"""Pooling: no padded copies, rows of memory at a time."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.reference.window import Pair, window_counts


@inlined
def _inside(size, out, stride, first):
    """The windows [low, high) whose element `first` + stride * window is in [0, size)."""
    low = 0 if first >= 0 else (-first + stride - 1) // stride
    high = 0 if first >= size else (size - 1 - first) // stride + 1
    high = min(high, out)
    return min(low, high), high


@compiled
def _max_pool(x, kernel, stride, padding, dilation, out):
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
                        low, high = _inside(w, ow, stride[1], left)
                        for k in range(low, high):
                            here = source[k * stride[1] + left]
                            to[k] = here if here > to[k] or here != here else to[k]


@compiled
def _max_pool_backward(g, x, out, kernel, stride, padding, dilation, grad):
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
                    found = False
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
                                to[row, column] += g[image, channel, y, k]
                                found = True
                                break


@compiled
def _avg_pool(x, kernel, stride, padding, out):
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
                        low, high = _inside(w, ow, stride[1], j - padding[1])
                        for k in range(low, high):
                            to[k] += source[k * stride[1] + j - padding[1]]
                for k in range(ow):
                    to[k] *= share


@compiled
def _avg_pool_backward(g, kernel, stride, padding, grad):
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
                        low, high = _inside(w, ow, stride[1], j - padding[1])
                        for k in range(low, high):
                            to[k * stride[1] + j - padding[1]] += source[k] * share


def _pooled(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> np.ndarray:
    """Room for what pooling gives."""
    size = window_counts(x.shape[2:], kernel, stride, padding, dilation)
    return np.empty((*x.shape[:2], *size), x.dtype)


def max_pool(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    out = _pooled(x, kernel, stride, padding, dilation)
    _max_pool(np.ascontiguousarray(x), kernel, stride, padding, dilation, out)
    return out


def max_pool_backward(
    g: np.ndarray, x: np.ndarray, out: np.ndarray, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair,
) -> np.ndarray:  # fmt: skip
    grad = np.zeros(x.shape, x.dtype)
    g, x, out = (np.ascontiguousarray(a) for a in (g, x, out))
    _max_pool_backward(g, x, out, kernel, stride, padding, dilation, grad)
    return grad


def avg_pool(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    out = _pooled(x, kernel, stride, padding)
    _avg_pool(np.ascontiguousarray(x), kernel, stride, padding, out)
    return out


def avg_pool_backward(
    g: np.ndarray, hw: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    grad = np.zeros((*g.shape[:2], *hw), g.dtype)
    _avg_pool_backward(np.ascontiguousarray(g), kernel, stride, padding, grad)
    return grad
