"""Convolution over two axes: patches by kernels, their products by cuBLAS."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.window import col2im, im2col
from dtrain.backend.kernels.reference.conv import grad_patches, of_patches, weight_of_patches
from dtrain.backend.kernels.reference.window import Pair


def conv(
    x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    return of_patches(im2col(x, weight.shape[2:], stride, padding, dilation), weight, groups)


def conv_grad_x(
    g: Array, weight: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    return col2im(grad_patches(g, weight, groups), hw, stride, padding, dilation)


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    return weight_of_patches(g, im2col(x, kernel, stride, padding, dilation), groups)
