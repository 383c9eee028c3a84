"""Convolution over two axes by im2col: one matrix product for each group of channels.

x: (n, c, h, w); weight: (m, c / groups, kh, kw); g and the output: (n, m, oh, ow). patches, from
`im2col`: (c, kh, kw, n, oh, ow). The weight's matrix has a row for each output channel; that of the
patches a row for each element of a window, and a column for each window of all images.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.kernels.reference.window import Pair, col2im, im2col

Multiply = Callable[[Array, Array], Array]


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> Array:  # fmt: skip
    """Cross-correlation of x with weight, (n, m, oh, ow), plus bias, (m,), if there is one."""
    out = conv_patches(im2col(x, weight.shape[2:], stride, padding, dilation), weight, groups)
    return add_bias(out, bias)


def add_bias(out: Array, bias: Array | None) -> Array:
    """Add bias, (m,), in place to out, (n, m, oh, ow)."""
    if bias is not None:
        out += bias.reshape(-1, 1, 1)
    return out


def conv_grad_x(
    g: Array, weight: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of x, (n, c, *hw)."""
    return col2im(grad_patches(g, weight, groups), hw, stride, padding, dilation)


def add_conv_grad_x(
    g: Array, weight: Array, before: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> Array:  # fmt: skip
    """The gradient of x, (n, c, *hw), added to `before`."""
    return before + conv_grad_x(g, weight, hw, stride, padding, dilation, groups)


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of weight, (m, c / groups, *kernel)."""
    return grad_weight_from_patches(g, im2col(x, kernel, stride, padding, dilation), groups)


def conv_patches(
    patches: Array, weight: Array, groups: int, multiply: Multiply = operator.matmul
) -> Array:
    """The output, (n, m, oh, ow): the weight's matrix times that of the patches."""
    rows = multiply(_group_weight(weight, groups), _group_patches(patches, groups))
    out = rows.reshape(weight.shape[0], *patches.shape[3:]).swapaxes(0, 1)
    return array_module(patches).ascontiguousarray(out)


def grad_patches(
    g: Array, weight: Array, groups: int, multiply: Multiply = operator.matmul
) -> Array:
    """The gradient of the patches, (c, kh, kw, n, oh, ow)."""
    (n, _, oh, ow), (_, cg, *kernel) = g.shape, weight.shape
    columns = multiply(_group_weight(weight, groups).swapaxes(1, 2), _group_outputs(g, groups))
    return columns.reshape(groups * cg, *kernel, n, oh, ow)


def grad_weight_from_patches(
    g: Array, patches: Array, groups: int, multiply: Multiply = operator.matmul
) -> Array:
    """The gradient of the weight, (m, c / groups, kh, kw)."""
    c, *kernel = patches.shape[:3]
    product = multiply(_group_outputs(g, groups), _group_patches(patches, groups).swapaxes(1, 2))
    return product.reshape(g.shape[1], c // groups, *kernel)


def _group_weight(weight: Array, groups: int) -> Array:
    """(m, c / groups, kh, kw) to (groups, m / groups, elements of a window)."""
    m, cg, kh, kw = weight.shape
    return weight.reshape(groups, m // groups, cg * kh * kw)


def _group_patches(patches: Array, groups: int) -> Array:
    """(c, kh, kw, n, oh, ow) to (groups, elements of a window, windows)."""
    c, kh, kw, n, oh, ow = patches.shape
    return patches.reshape(groups, c // groups * kh * kw, n * oh * ow)


def _group_outputs(g: Array, groups: int) -> Array:
    """(n, m, oh, ow) to (groups, m / groups, windows)."""
    n, m, oh, ow = g.shape
    return g.swapaxes(0, 1).reshape(groups, m // groups, n * oh * ow)
