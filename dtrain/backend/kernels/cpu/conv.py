"""Convolution over two axes: as one matrix product (1x1, or windows that tile the images), on AMX
as one whose windows are gathered on the way, by Winograd's algorithm (3x3), by sums of shifted
images, or by im2col.

Few windows with a large weight take im2col; float64 takes the reference's, a few images at a time,
so that their patches stay in a core's cache.

x: (n, c, h, w), weight: (m, c / groups, kh, kw), g and the output: (n, m, oh, ow).
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu import direct, implicit, product, winograd
from dtrain.backend.kernels.cpu.layout import split_images
from dtrain.backend.kernels.cpu.patches import col2im, im2col
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import Pair, window_counts
from dtrain.backend.settings import get_convolution_precision

_SIDES = 64  # of matrices, at least, that AMX multiplies
_FEW = 64  # windows of an image


def _choose_method(
    dtype: np.dtype, n: int, size: Pair, c: int, m: int, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> str:  # fmt: skip
    """The fastest method for n images with `size` windows each: "product", "tiles", "winograd",
    "direct", or im2col, of all images ("whole"), or the reference's of a few at a time ("parts").
    """
    if padding == (0, 0) and groups == 1:
        if kernel == (1, 1):
            return "product"
        if kernel == stride and dilation == (1, 1) and kernel[1] >= LANES // 2:
            return "tiles"
    if dtype != np.float32:
        return "parts"
    if groups == 1 and n * math.prod(size) < 2 * min(c, m):  # a large weight is read but once
        return "whole"
    fill_vectors = groups == 1 and c % LANES == 0 and m % LANES == 0 and min(c, m) > LANES
    if fill_vectors and winograd.is_worthwhile(kernel, size, stride, padding, dilation):
        return "winograd"
    return "direct"


def _gathers(
    method: str, dtype: np.dtype, n: int, size: Pair, c: int, m: int, kernel: Pair, stride: Pair,
    groups: int, packs_weight: bool = True,
) -> bool:  # fmt: skip
    """Whether AMX is faster than the method that is chosen otherwise."""
    if method in ("product", "tiles") or dtype != np.float32 or groups > 1:
        return False
    return implicit.is_worthwhile(n * math.prod(size), c, m, kernel, stride, packs_weight)


def conv(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> np.ndarray:  # fmt: skip
    """Cross-correlation of x with weight, (n, m, oh, ow), plus bias, (m,), if there is one."""
    x, how = np.ascontiguousarray(x), (stride, padding, dilation, groups)
    (n, c), m, kernel = x.shape[:2], weight.shape[0], weight.shape[2:]
    size = window_counts(x.shape[2:], kernel, stride, padding, dilation)
    method = _choose_method(x.dtype, n, size, c, m, kernel, *how)
    if _gathers(method, x.dtype, n, size, c, m, kernel, stride, groups):
        out = implicit.conv(x, weight, bias, stride, padding, dilation)
        if out is not None:
            return out
        method = "direct"
    if method == "direct":
        return direct.conv(x, weight, bias, *how)
    return reference.add_bias(_conv(x, weight, method, size, *how), bias)


def _conv(
    x: np.ndarray, weight: np.ndarray, method: str, size: Pair, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> np.ndarray:  # fmt: skip
    """Cross-correlation by a method but "direct"; size: (oh, ow)."""
    (n, c), m, kernel = x.shape[:2], weight.shape[0], weight.shape[2:]
    if method == "product":
        pixels = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        return _multiply(weight.reshape(m, c), pixels.reshape(n, c, -1)).reshape(n, m, *size)
    if method == "tiles":
        pixels = _multiply(_copy_tiles(x, kernel, size), weight.reshape(m, -1).T)
        return np.ascontiguousarray(pixels.reshape(n, *size, m).transpose(0, 3, 1, 2))
    if method == "whole":
        patches = im2col(x, kernel, stride, padding, dilation)
        return reference.conv_patches(patches, weight, groups, _multiply)
    if method == "winograd":
        return winograd.conv(x, weight, padding)
    out = np.empty((n, m, *size), x.dtype)
    for part in split_images(n, c * math.prod(kernel) * math.prod(size)):
        out[part] = reference.conv(x[part], weight, None, stride, padding, dilation, groups)
    return out


def conv_grad_x(
    g: np.ndarray, weight: np.ndarray, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of x, (n, c, *hw)."""
    (n, m), size, kernel = g.shape[:2], g.shape[2:], weight.shape[2:]
    c = weight.shape[1] * groups
    g, patch_elements = np.ascontiguousarray(g), c * math.prod(kernel) * math.prod(size)
    method = _choose_method(g.dtype, n, size, c, m, kernel, stride, padding, dilation, groups)
    if stride == (1, 1) and _gathers(method, g.dtype, n, size, c, m, kernel, stride, groups):
        grad = implicit.conv_grad_x(g, weight, hw, padding, dilation)
        if grad is not None:
            return grad
        method = "direct"
    if method == "product":
        grad_pixels = _multiply(weight.reshape(m, c).T, g.reshape(n, m, math.prod(size)))
        if stride == (1, 1):
            return grad_pixels.reshape(n, c, *hw)
        out = np.zeros((n, c, *hw), g.dtype)
        out[:, :, :: stride[0], :: stride[1]] = grad_pixels.reshape(n, c, *size)
        return out
    if method == "tiles":
        out = np.zeros((n, c, *hw), g.dtype)
        _write_tiles(_multiply(_pixels(g), weight.reshape(m, -1)), kernel, size, out)
        return out
    if method == "direct":
        return direct.conv_grad_x(g, weight, hw, stride, padding, dilation, groups)
    if method == "whole":
        patches = reference.grad_patches(g, weight, groups, _multiply)
        return col2im(patches, hw, stride, padding, dilation)
    if method == "winograd":
        return winograd.conv_grad_x(g, weight, padding)
    out = np.empty((n, c, *hw), g.dtype)
    for part in split_images(n, patch_elements):
        out[part] = reference.conv_grad_x(g[part], weight, hw, stride, padding, dilation, groups)
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
    method = _choose_method(x.dtype, n, size, c, m, kernel, stride, padding, dilation, groups)
    few = math.prod(size) <= _FEW  # a product for each image would have edges of tiles alone
    other = "whole" if few else method
    if _gathers(other, x.dtype, n, size, c, m, kernel, stride, groups, packs_weight=False):
        grad = implicit.conv_grad_weight(g, x, kernel, stride, padding, dilation)
        if grad is not None:
            return grad
        method = "direct"
    if method == "product":
        pixels = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]])
        total = np.zeros((m, c), x.dtype)
        for image in range(n):
            total += _multiply(g[image].reshape(m, -1), pixels[image].reshape(c, -1).T)
        return total.reshape(shape)
    if method == "tiles":
        return _multiply(_pixels(g).T, _copy_tiles(x, kernel, size)).reshape(shape)
    if method == "direct":
        return direct.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups)
    if method == "whole":
        patches = im2col(x, kernel, stride, padding, dilation)
        return reference.grad_weight_from_patches(g, patches, groups, _multiply)
    if method == "winograd":
        return winograd.conv_grad_weight(g, x, padding)
    total = np.zeros(shape, x.dtype)
    for part in split_images(n, patch_elements):
        total += reference.conv_grad_weight(
            g[part], x[part], kernel, stride, padding, dilation, groups
        )
    return total


def _multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x @ y; by the BLAS, if convolutions are to be sums of float32 products, or if to pack the
    matrices for AMX takes as long as to multiply them."""
    sides = *x.shape[-2:], y.shape[-1]
    if get_convolution_precision() == "ieee" or min(sides) < _SIDES:
        return x @ y
    return product.matmul(x, y)


def _pixels(g: np.ndarray) -> np.ndarray:
    """(n, m, oh, ow) as the rows of a matrix, (n * oh * ow, m)."""
    return g.transpose(0, 2, 3, 1).reshape(-1, g.shape[1])


def _copy_tiles(x: np.ndarray, kernel: Pair, size: Pair) -> np.ndarray:
    """Copy windows that do not overlap to rows: (n * oh * ow, c * kh * kw)."""
    (n, c), (kh, kw), (oh, ow) = x.shape[:2], kernel, size
    tiles = x[:, :, : oh * kh, : ow * kw].reshape(n, c, oh, kh, ow, kw)
    return tiles.transpose(0, 2, 4, 1, 3, 5).reshape(n * oh * ow, c * kh * kw)


def _write_tiles(rows: np.ndarray, kernel: Pair, size: Pair, out: np.ndarray) -> None:
    """Copy the rows of `_copy_tiles` back to the windows of images, out."""
    (n, c), (kh, kw), (oh, ow) = out.shape[:2], kernel, size
    tiles = rows.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 1, 4, 2, 5)
    out[:, :, : oh * kh, : ow * kw] = tiles.reshape(n, c, oh * kh, ow * kw)
