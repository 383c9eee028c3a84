"""Convolution over two axes: as one matrix product (1x1, or windows that tile the images), by
Winograd's algorithm (3x3), by sums of shifted images (stride 1, or groups), or by im2col.

im2col takes a few images at a time, so that their patches stay in a core's cache. Patches are
copied from images with channels last, where the elements of a window lie in a few contiguous runs.
float64, channels that are no multiple of LANES, and few windows take the reference's im2col, whose
products have the weight as it lies in memory.

x: (n, c, h, w), weight: (m, c / groups, kh, kw), g and the output: (n, m, oh, ow).
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu import direct, winograd
from dtrain.backend.kernels.cpu.layout import channels_first, split_images
from dtrain.backend.kernels.cpu.patches import (
    add_windows,
    copy_patches,
    copy_tiles,
    to_channels_last,
    write_tiles,
)
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import Pair, window_counts


def _choose_method(
    dtype: np.dtype, n: int, size: Pair, c: int, m: int, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair, groups: int, result: str,
) -> str:  # fmt: skip
    """The fastest method for n images with `size` windows each: "product", "tiles", "winograd",
    "direct", "patches", or the reference's im2col, a few images at a time ("parts") or all
    ("whole").

    result: "output", "grad_x" or "grad_weight".
    """
    if padding == (0, 0) and groups == 1:
        if kernel == (1, 1):
            return "product"
        if kernel == stride and dilation == (1, 1) and kernel[1] >= LANES // 2:
            return "tiles"
    if groups > 1:
        return "direct" if dtype == np.float32 and c // groups <= 2 * LANES else "parts"
    if n * math.prod(size) < 2 * min(c, m):  # so that a large weight is read but once
        return "whole"
    if dtype != np.float32:
        return "parts"
    fill_vectors = c % LANES == 0 and m % LANES == 0
    if fill_vectors and winograd.is_worthwhile(kernel, size, stride, padding, dilation):
        return "winograd"
    if stride == (1, 1):
        few_sums = result == "grad_weight" and fill_vectors and math.prod(size) < 256
        return "patches" if few_sums else "direct"
    overlap = all(s == 1 or 2 * s <= k for s, k in zip(stride, kernel))
    if c <= LANES and result != "grad_x" and overlap:
        return "direct"
    return "patches" if fill_vectors else "parts"


def conv(
    x: np.ndarray, weight: np.ndarray, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Cross-correlation of x with weight; returns (n, m, oh, ow)."""
    (n, c), hw, m, kernel = x.shape[:2], x.shape[2:], weight.shape[0], weight.shape[2:]
    size = window_counts(hw, kernel, stride, padding, dilation)
    x, patch_elements = np.ascontiguousarray(x), c * math.prod(kernel) * math.prod(size)
    method = _choose_method(
        x.dtype, n, size, c, m, kernel, stride, padding, dilation, groups, "output"
    )
    if method == "product":
        pixels = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        return (weight.reshape(m, c) @ pixels.reshape(n, c, math.prod(size))).reshape(n, m, *size)
    if method == "tiles":
        pixels = copy_tiles(x, kernel, size) @ weight.reshape(m, -1).T
        return np.ascontiguousarray(pixels.reshape(n, *size, m).transpose(0, 3, 1, 2))
    if method == "direct":
        return direct.conv(x, weight, stride, padding, dilation, groups)
    if method == "whole":
        return reference.conv(x, weight, stride, padding, dilation, groups)
    out = np.empty((n, m, *size), x.dtype)
    if method == "parts":
        for part in split_images(n, patch_elements):
            out[part] = reference.conv(x[part], weight, stride, padding, dilation, groups)
        return out
    if method == "winograd":
        return winograd.conv(x, weight, padding)
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, m)
    for part in split_images(n, patch_elements):
        pixels = copy_patches(x[part], kernel, size, stride, padding, dilation) @ matrix
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
    method = _choose_method(
        g.dtype, n, size, c, m, kernel, stride, padding, dilation, groups, "grad_x"
    )
    if method == "product":
        grad_pixels = weight.reshape(m, c).T @ g.reshape(n, m, math.prod(size))
        if stride == (1, 1):
            return grad_pixels.reshape(n, c, *hw)
        out = np.zeros((n, c, *hw), g.dtype)
        out[:, :, :: stride[0], :: stride[1]] = grad_pixels.reshape(n, c, *size)
        return out
    if method == "tiles":
        out = np.zeros((n, c, *hw), g.dtype)
        write_tiles(_pixels(g) @ weight.reshape(m, -1), kernel, size, out)
        return out
    if method == "direct":
        return direct.conv_grad_x(g, weight, hw, stride, padding, dilation, groups)
    if method == "whole":
        return reference.conv_grad_x(g, weight, hw, stride, padding, dilation, groups)
    out = np.empty((n, c, *hw), g.dtype)
    if method == "parts":
        for part in split_images(n, patch_elements):
            out[part] = reference.conv_grad_x(
                g[part], weight, hw, stride, padding, dilation, groups
            )
        return out
    if method == "winograd":
        return winograd.conv_grad_x(g, weight, padding)
    matrix = weight.transpose(0, 2, 3, 1).reshape(m, -1)
    (h, w), (top, left) = hw, padding
    for part in split_images(n, patch_elements):
        patches = to_channels_last(g[part]).reshape(-1, m) @ matrix
        padded = np.zeros((len(g[part]), h + 2 * top, w + 2 * left, c), g.dtype)
        add_windows(patches, kernel, size, stride, dilation, padded)
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
    method = _choose_method(
        x.dtype, n, size, c, m, kernel, stride, padding, dilation, groups, "grad_weight"
    )
    if method == "product":
        pixels = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        total = np.zeros((m, c), x.dtype)
        for image in range(n):
            total += g[image].reshape(m, -1) @ pixels[image].reshape(c, -1).T
        return total.reshape(shape)
    if method == "tiles":
        return (_pixels(g).T @ copy_tiles(x, kernel, size)).reshape(shape)
    if method == "direct":
        return direct.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups)
    if method == "whole":
        return reference.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups)
    if method == "parts":
        total = np.zeros(shape, x.dtype)
        for part in split_images(n, patch_elements):
            total += reference.conv_grad_weight(
                g[part], x[part], kernel, stride, padding, dilation, groups
            )
        return total
    if method == "winograd":
        return winograd.conv_grad_weight(g, x, padding)
    total = np.zeros((m, math.prod(kernel) * c), x.dtype)
    for part in split_images(n, patch_elements):
        patches = copy_patches(x[part], kernel, size, stride, padding, dilation)
        total += to_channels_last(g[part]).reshape(-1, m).T @ patches
    return np.ascontiguousarray(total.reshape(m, *kernel, c).transpose(0, 3, 1, 2))


def _pixels(g: np.ndarray) -> np.ndarray:
    """(n, m, oh, ow) as the rows of a matrix, (n * oh * ow, m)."""
    return g.transpose(0, 2, 3, 1).reshape(-1, g.shape[1])
