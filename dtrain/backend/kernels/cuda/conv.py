"""Convolution over two axes by im2col: patches by kernels, matrix products by cuBLAS; where the
channels are few, without patches (implicit_conv.py); where cuDNN is installed, by cuDNN
(cudnn_conv.py). Where a window is one element, it is a product by cuBLAS.

x: (n, c, h, w); weight: (m, c / groups, kh, kw); g and the output: (n, m, oh, ow). Without groups
the patches are (n, c, kh, kw, oh, ow), so that each sample's product is written where it belongs;
where a window is one element, they are the images themselves.
"""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda import cudnn_conv, implicit_conv
from dtrain.backend.kernels.cuda.product import matmul
from dtrain.backend.kernels.cuda.window import col2im, im2col, im2col_beside
from dtrain.backend.kernels.reference.conv import (
    add_bias,
    conv_patches,
    grad_patches,
    grad_weight_from_patches,
)
from dtrain.backend.kernels.reference.window import Pair, window_counts

_ONE, _ZERO = (1, 1), (0, 0)
#: The weight's gradient of smaller images is one product over all samples, without a sum of theirs;
#: of larger ones, and of windows of one element, the copy of g that it needs takes more time.
_WINDOWS = 2048


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> Array:  # fmt: skip
    """Cross-correlation of x with weight, (n, m, oh, ow), plus bias, (m,), if there is one."""
    how = stride, padding, dilation
    is_pointwise = _is_pointwise(weight.shape[2:], stride, padding)
    if not is_pointwise and cudnn_conv.takes(x, weight):
        by_cudnn = cudnn_conv.conv(x, weight, *how)
        if by_cudnn is not None:
            return add_bias(by_cudnn, bias)
    oh, ow = window_counts(x.shape[2:], weight.shape[2:], *how)
    if not is_pointwise and implicit_conv.takes(x, len(x) * oh * ow, weight.shape, groups):
        return implicit_conv.conv(x, weight, bias, *how)
    if groups > 1:
        out = conv_patches(im2col(x, weight.shape[2:], *how), weight, groups, matmul)
        return add_bias(out, bias)
    patches = _patches(x, weight.shape[2:], *how)
    rows, windows = math.prod(patches.shape[1:4]), math.prod(patches.shape[4:])
    out = matmul(weight.reshape(len(weight), rows), patches.reshape(len(x), rows, windows))
    return add_bias(out.reshape(len(x), len(weight), *patches.shape[4:]), bias)


def conv_grad_x(
    g: Array, weight: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int,
    before: Array | None = None,
) -> Array:  # fmt: skip
    """The gradient of x, (n, c, *hw), added to `before`."""
    how = stride, padding, dilation
    is_pointwise = _is_pointwise(weight.shape[2:], stride, padding)
    if not is_pointwise and cudnn_conv.takes(g, weight):
        by_cudnn = cudnn_conv.conv_grad_x(g, weight, weight.shape[1] * groups, hw, *how)
        if by_cudnn is not None:
            return by_cudnn if before is None else before + by_cudnn
    pixels = len(g) * math.prod(hw)
    if not is_pointwise and implicit_conv.takes(g, pixels, weight.shape, groups):
        return implicit_conv.conv_grad_x(g, weight, hw, *how, before)
    if groups > 1:
        return col2im(grad_patches(g, weight, groups, matmul), hw, *how, before=before)
    (n, m, oh, ow), (_, c, *kernel) = g.shape, weight.shape
    rows = matmul(weight.reshape(m, c * math.prod(kernel)).T, g.reshape(n, m, oh * ow))
    if is_pointwise:
        grad = rows.reshape(n, c, *hw)
        return grad if before is None else before + grad
    return col2im(rows.reshape(n, c, *kernel, oh, ow), hw, *how, by_sample=True, before=before)


def add_conv_grad_x(
    g: Array, weight: Array, before: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> Array:  # fmt: skip
    """The gradient of x, (n, c, *hw), added to `before`."""
    return conv_grad_x(g, weight, hw, stride, padding, dilation, groups, before)


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of weight, (m, c / groups, *kernel)."""
    how = stride, padding, dilation
    (n, m, oh, ow), c = g.shape, x.shape[1]
    rows, windows = c * math.prod(kernel), oh * ow
    is_pointwise = _is_pointwise(kernel, stride, padding)
    if not is_pointwise and cudnn_conv.takes(g, x):
        by_cudnn = cudnn_conv.conv_grad_weight(g, x, kernel, *how, groups)
        if by_cudnn is not None:
            return by_cudnn
    if not is_pointwise and implicit_conv.takes(x, n * windows, (m, c, *kernel), groups):
        return implicit_conv.conv_grad_weight(g, x, kernel, *how)
    is_large = is_pointwise or windows > _WINDOWS
    if is_large and groups == 1 and m * rows <= (m + rows) * windows:
        patches = _patches(x, kernel, *how).reshape(n, rows, windows)
        products = matmul(g.reshape(n, m, windows), patches.swapaxes(1, 2))
        return products.sum(0).reshape(m, c, *kernel)
    patches, outputs = im2col_beside(x, g, kernel, *how)
    return grad_weight_from_patches(outputs.swapaxes(0, 1), patches, groups, matmul)


def _is_pointwise(kernel: Pair, stride: Pair, padding: Pair) -> bool:
    return tuple(kernel) == _ONE and tuple(stride) == _ONE and tuple(padding) == _ZERO


def _patches(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """The elements of each window: (n, c, kh, kw, oh, ow)."""
    if _is_pointwise(kernel, stride, padding):
        return x[:, :, None, None]
    return im2col(x, kernel, stride, padding, dilation, by_sample=True)
