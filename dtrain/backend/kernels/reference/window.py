"""Sliding windows over images: pooling, and im2col for convolution.

x: (n, c, h, w). A window covers kernel = (kh, kw) elements, `dilation` apart; windows are `stride`
apart, and begin `padding` before the image. There are (oh, ow) windows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtrain.backend.array_module import Array, array_module

Pair = tuple[int, int]


def window_counts(
    hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> Pair:
    """(oh, ow), the number of windows along the two axes."""
    oh, ow = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(hw, kernel, stride, padding, dilation)
    )
    return oh, ow


def _window_slices(
    hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, tuple]]:
    """For each element (i, j) of a window: its index in a padded (..., h, w), for all windows."""
    oh, ow = window_counts(hw, kernel, stride, padding, dilation)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + stride[0] * (oh - 1) + 1, stride[0])
            columns = slice(left, left + stride[1] * (ow - 1) + 1, stride[1])
            yield i, j, (..., rows, columns)


def _pad(x: Array, padding: Pair, value: float = 0) -> Array:
    """Pad the last two axes on both sides."""
    if padding == (0, 0):
        return x
    (n, c, h, w), (top, left) = x.shape, padding
    out = array_module(x).full((n, c, h + 2 * top, w + 2 * left), value, x.dtype)
    out[:, :, top : top + h, left : left + w] = x
    return out


def _crop(x: Array, padding: Pair) -> Array:
    """Remove the padding of `_pad`."""
    h, w = x.shape[-2:]
    return x[..., padding[0] : h - padding[0], padding[1] : w - padding[1]]


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Copy the elements of each window: (c, kh, kw, n, oh, ow); padding is zeros."""
    n, c, *hw = x.shape
    oh, ow = window_counts(hw, kernel, stride, padding, dilation)
    channels_first = _pad(x, padding).swapaxes(0, 1)
    out = array_module(x).empty((c, *kernel, n, oh, ow), x.dtype)
    for i, j, index in _window_slices(hw, kernel, stride, padding, dilation):
        out[:, i, j] = channels_first[index]
    return out


def col2im(patches: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Add the patches to their windows of images of zeros, (n, c, *hw): im2col transposed."""
    c, kh, kw, n = patches.shape[:4]
    (h, w), (top, left) = hw, padding
    full = array_module(patches).zeros((c, n, h + 2 * top, w + 2 * left), patches.dtype)
    for i, j, index in _window_slices(hw, (kh, kw), stride, padding, dilation):
        full[index] += patches[:, i, j]
    return _crop(full, padding).swapaxes(0, 1)


def max_pool(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Array, Array]:
    """The maximum of each window, (n, c, oh, ow), and its position i * kw + j in the window, int32:
    of equal ones the first, of NaN, which is the largest, the last. Without an element: -1."""
    xp = array_module(x)
    padded, real = _pad(x, padding), _pad(xp.ones(x.shape, bool), padding, False)
    size = (*x.shape[:2], *window_counts(x.shape[2:], kernel, stride, padding, dilation))
    out, positions = xp.full(size, _lowest(x), x.dtype), xp.full(size, -1, np.int32)
    for i, j, index in _window_slices(x.shape[2:], kernel, stride, padding, dilation):
        values = padded[index]
        is_larger = ((values > out) | (values != values) | (positions < 0)) & real[index]
        out = xp.where(is_larger, values, out)
        positions = xp.where(is_larger, np.int32(i * kernel[1] + j), positions)
    return out, positions


def max_pool_backward(
    g: Array, positions: Array, hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """The gradient of x, (n, c, *hw): the maximum of a window gets that of the window."""
    (n, c), (h, w), (top, left) = g.shape[:2], hw, padding
    xp = array_module(g)
    full = xp.zeros((n, c, h + 2 * top, w + 2 * left), g.dtype)
    for i, j, index in _window_slices(hw, kernel, stride, padding, dilation):
        full[index] += xp.where(positions == i * kernel[1] + j, g, 0)
    return _crop(full, padding)


def _lowest(x: Array) -> float:
    xp = array_module(x)
    return -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min


def avg_pool(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The mean of each window, (n, c, oh, ow), padding counted as zeros."""
    padded = _pad(x, padding)
    total: Array = 0
    for _, _, index in _window_slices(x.shape[2:], kernel, stride, padding):
        total = total + padded[index]
    return total * (1 / (kernel[0] * kernel[1]))


def avg_pool_backward(g: Array, hw: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The gradient of x, (n, c, *hw)."""
    (n, c), (h, w), (top, left) = g.shape[:2], hw, padding
    full = array_module(g).zeros((n, c, h + 2 * top, w + 2 * left), g.dtype)
    scaled = g * (1 / (kernel[0] * kernel[1]))
    for _, _, index in _window_slices(hw, kernel, stride, padding):
        full[index] += scaled
    return _crop(full, padding)
