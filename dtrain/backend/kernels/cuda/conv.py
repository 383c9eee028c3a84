"""Convolution over two axes by im2col: patches by kernels, matrix products by cuBLAS.

x: (n, c, h, w); weight: (m, c / groups, kh, kw); g and the output: (n, m, oh, ow).
"""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.window import col2im, im2col
from dtrain.backend.kernels.reference.conv import (
    conv_patches,
    grad_patches,
    grad_weight_from_patches,
)
from dtrain.backend.kernels.reference.window import Pair


def conv(
    x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Cross-correlation of x with weight; returns (n, m, oh, ow)."""
    return conv_patches(im2col(x, weight.shape[2:], stride, padding, dilation), weight, groups)


def conv_grad_x(
    g: Array, weight: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of x, (n, c, *hw)."""
    return col2im(grad_patches(g, weight, groups), hw, stride, padding, dilation)


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of weight, (m, c / groups, *kernel)."""
    return grad_weight_from_patches(g, im2col(x, kernel, stride, padding, dilation), groups)
