"""Convolution over two axes: as one matrix product (1x1), by Winograd's algorithm, by sums of
shifted images (few channels in a group), or by im2col.

A few images at a time, so that their patches stay in a core's cache. Patches are copied from images
with channels last, where the elements of a window lie in a few contiguous runs. float64, channels
that are no multiple of LANES, and few windows take the reference's im2col, whose products have the
weight as it lies in memory.

x: (n, c, h, w), weight: (m, c / groups, kh, kw), g and the output: (n, m, oh, ow).
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu import direct, winograd
from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.layout import channels_first, channels_last, split_images
from dtrain.backend.kernels.cpu.vector import LANES, load, store
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import Pair, window_counts


def _fills_vectors(x: np.ndarray, c: int, m: int, groups: int) -> bool:
    """Whether c input and m output channels are whole vectors of float32."""
    return groups == 1 and x.dtype == np.float32 and c % LANES == 0 and m % LANES == 0


def _is_one_by_one(kernel: Pair, padding: Pair, groups: int) -> bool:
    """Whether the convolution is a matrix product at each pixel."""
    return kernel == (1, 1) and padding == (0, 0) and groups == 1


def _is_direct(dtype: np.dtype, c: int, groups: int) -> bool:
    """Whether sums of shifted images are the fastest: with few channels in a group."""
    return dtype == np.float32 and groups > 1 and c // groups <= 2 * LANES


def _has_few_windows(n: int, size: Pair, c: int, m: int, groups: int) -> bool:
    """Whether a layer's weight is larger than its images, so that it should be read but once."""
    return groups == 1 and n * math.prod(size) < 2 * min(c, m)


def conv(
    x: np.ndarray, weight: np.ndarray, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Cross-correlation of x with weight; returns (n, m, oh, ow)."""
    (n, c), hw, m, kernel = x.shape[:2], x.shape[2:], weight.shape[0], weight.shape[2:]
    size = window_counts(hw, kernel, stride, padding, dilation)
    x, patch_elements = np.ascontiguousarray(x), c * math.prod(kernel) * math.prod(size)
    if _is_one_by_one(kernel, padding, groups):
        pixels = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        return (weight.reshape(m, c) @ pixels.reshape(n, c, math.prod(size))).reshape(n, m, *size)
    if _is_direct(x.dtype, c, groups):
        return direct.conv(x, weight, stride, padding, dilation, groups)
    if _has_few_windows(n, size, c, m, groups):
        return reference.conv(x, weight, stride, padding, dilation, groups)
    out = np.empty((n, m, *size), x.dtype)
    if not _fills_vectors(x, c, m, groups):
        for part in split_images(n, patch_elements):
            out[part] = reference.conv(x[part], weight, stride, padding, dilation, groups)
        return out
    if winograd.is_worthwhile(weight, size, stride, padding, dilation):
        return winograd.conv(x, weight, padding)
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, m)
    for part in split_images(n, patch_elements):
        pixels = _patches(x[part], kernel, size, stride, padding, dilation) @ matrix
        channels_first(pixels.reshape(-1, *size, m), out[part])
    return out


def conv_grad_x(
    g: np.ndarray, weight: np.ndarray, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of x, (n, c, *hw)."""
    (n, m), size, kernel = g.shape[:2], g.shape[2:], weight.shape[2:]
    c = weight.shape[1] * groups
    g, patch_elements = np.ascontiguousarray(g), c * math.prod(kernel) * math.prod(size)
    if _is_one_by_one(kernel, padding, groups):
        grad_pixels = weight.reshape(m, c).T @ g.reshape(n, m, math.prod(size))
        if stride == (1, 1):
            return grad_pixels.reshape(n, c, *hw)
        out = np.zeros((n, c, *hw), g.dtype)
        out[:, :, :: stride[0], :: stride[1]] = grad_pixels.reshape(n, c, *size)
        return out
    if _is_direct(g.dtype, c, groups):
        return direct.conv_grad_x(g, weight, hw, stride, padding, dilation, groups)
    if _has_few_windows(n, size, c, m, groups):
        return reference.conv_grad_x(g, weight, hw, stride, padding, dilation, groups)
    out = np.empty((n, c, *hw), g.dtype)
    if not _fills_vectors(g, c, m, groups):
        for part in split_images(n, patch_elements):
            out[part] = reference.conv_grad_x(
                g[part], weight, hw, stride, padding, dilation, groups
            )
        return out
    if winograd.is_worthwhile(weight, hw, stride, padding, dilation):
        return winograd.conv_grad_x(g, weight, padding)
    matrix = weight.transpose(0, 2, 3, 1).reshape(m, -1)
    (h, w), (top, left) = hw, padding
    for part in split_images(n, patch_elements):
        patches = _to_channels_last(g[part]).reshape(-1, m) @ matrix
        padded = np.zeros((len(g[part]), h + 2 * top, w + 2 * left, c), g.dtype)
        _add_windows(patches, kernel, size, stride, dilation, padded)
        cropped = padded[:, top : top + h, left : left + w]
        channels_first(np.ascontiguousarray(cropped), out[part])
    return out


def conv_grad_weight(
    g: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of weight, (m, c / groups, *kernel)."""
    (n, c), m, size = x.shape[:2], g.shape[1], g.shape[2:]
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    patch_elements = c * math.prod(kernel) * math.prod(size)
    shape = (m, c // groups, *kernel)
    if _is_one_by_one(kernel, padding, groups):
        pixels = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        total = np.zeros((m, c), x.dtype)
        for image in range(n):
            total += g[image].reshape(m, -1) @ pixels[image].reshape(c, -1).T
        return total.reshape(shape)
    if _is_direct(x.dtype, c, groups):
        return direct.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups)
    if _has_few_windows(n, size, c, m, groups):
        return reference.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups)
    if not _fills_vectors(x, c, m, groups):
        total = np.zeros(shape, x.dtype)
        for part in split_images(n, patch_elements):
            total += reference.conv_grad_weight(
                g[part], x[part], kernel, stride, padding, dilation, groups
            )
        return total
    if winograd.is_worthwhile(np.empty(shape), size, stride, padding, dilation):
        return winograd.conv_grad_weight(g, x, padding)
    total = np.zeros((m, math.prod(kernel) * c), x.dtype)
    for part in split_images(n, patch_elements):
        patches = _patches(x[part], kernel, size, stride, padding, dilation)
        total += _to_channels_last(g[part]).reshape(-1, m).T @ patches
    return np.ascontiguousarray(total.reshape(m, *kernel, c).transpose(0, 3, 1, 2))


def _to_channels_last(x: np.ndarray, padding: Pair = (0, 0)) -> np.ndarray:
    """Copy float32 images (n, c, h, w) to (n, h, w, c), padded by zeros."""
    n, c, h, w = x.shape
    out = np.zeros((n, h + 2 * padding[0], w + 2 * padding[1], c), np.float32)
    channels_last(x, *padding, out)
    return out


def _patches(
    x: np.ndarray, kernel: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """Copy the elements of each window to a row: (n * oh * ow, kh * kw * c)."""
    n, c = x.shape[:2]
    out = np.empty((n * math.prod(size), math.prod(kernel) * c), x.dtype)
    _copy_windows(_to_channels_last(x, padding), kernel, size, stride, dilation, out)
    return out


@compiled
def _copy_windows(
    x: np.ndarray, kernel: Pair, size: Pair, stride: Pair, dilation: Pair, out: np.ndarray
) -> None:
    """Copy the windows of x, (n, h, w, c), padded, to the rows of out, (windows, kh * kw * c)."""
    n, h, w, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    runs, run = (1, kernel[1] * c) if dilation[1] == 1 else (kernel[1], c)
    to = 0
    for image in range(n):
        for y in range(size[0]):
            for k in range(size[1]):
                for i in range(kernel[0]):
                    row = (image * h + y * stride[0] + i * dilation[0]) * w + k * stride[1]
                    for j in range(runs):
                        at = (row + j * dilation[1]) * c
                        for e in range(0, run, LANES):
                            store(target, to + e, load(source, at + e))
                        to += run


@compiled
def _add_windows(
    patches: np.ndarray, kernel: Pair, size: Pair, stride: Pair, dilation: Pair, out: np.ndarray
) -> None:
    """Add the rows of patches to their windows of out: the transpose of `_copy_windows`."""
    n, h, w, c = out.shape
    source, target = patches.reshape(-1), out.reshape(-1)
    runs, run = (1, kernel[1] * c) if dilation[1] == 1 else (kernel[1], c)
    at = 0
    for image in range(n):
        for y in range(size[0]):
            for k in range(size[1]):
                for i in range(kernel[0]):
                    row = (image * h + y * stride[0] + i * dilation[0]) * w + k * stride[1]
                    for j in range(runs):
                        to = (row + j * dilation[1]) * c
                        for e in range(0, run, LANES):
                            store(target, to + e, load(target, to + e) + load(source, at + e))
                        at += run
