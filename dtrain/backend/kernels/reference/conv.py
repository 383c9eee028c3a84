"""Convolution over two axes, as products of matrices over patches.

x: (n, c, h, w); weight: (m, c / groups, kh, kw). The matrices have one row for each output
channel, or for each input of a window, and one column for each window of all images, so that each
group is one product.
"""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.kernels.reference.window import Pair, col2im, im2col


def conv(
    x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """Cross-correlation; (n, m, oh, ow)."""
    return of_patches(im2col(x, weight.shape[2:], stride, padding, dilation), weight, groups)


def conv_grad_x(
    g: Array, weight: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of x, whose last axes are hw. g: (n, m, oh, ow)."""
    return col2im(grad_patches(g, weight, groups), hw, stride, padding, dilation)


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The gradient of weight, whose last axes are kernel."""
    return weight_of_patches(g, im2col(x, kernel, stride, padding, dilation), groups)


def of_patches(patches: Array, weight: Array, groups: int) -> Array:
    """The output, of patches (c, kh, kw, n, oh, ow)."""
    rows = _by_group(weight, groups) @ _columns(patches, groups)
    out = rows.reshape(weight.shape[0], *patches.shape[3:]).swapaxes(0, 1)
    return array_module(patches).ascontiguousarray(out)


def grad_patches(g: Array, weight: Array, groups: int) -> Array:
    """The gradient of the patches."""
    (n, _, oh, ow), (_, cg, *kernel) = g.shape, weight.shape
    columns = _by_group(weight, groups).swapaxes(1, 2) @ _rows(g, groups)
    return columns.reshape(groups * cg, *kernel, n, oh, ow)


def weight_of_patches(g: Array, patches: Array, groups: int) -> Array:
    """The gradient of the weight."""
    c, *kernel = patches.shape[:3]
    product = _rows(g, groups) @ _columns(patches, groups).swapaxes(1, 2)
    return product.reshape(g.shape[1], c // groups, *kernel)


def _by_group(weight: Array, groups: int) -> Array:
    """(m, c / groups, kh, kw) to (groups, m / groups, inputs of a window)."""
    m, cg, kh, kw = weight.shape
    return weight.reshape(groups, m // groups, cg * kh * kw)


def _columns(patches: Array, groups: int) -> Array:
    """(c, kh, kw, n, oh, ow) to (groups, inputs of a window, windows)."""
    c, kh, kw, n, oh, ow = patches.shape
    return patches.reshape(groups, c // groups * kh * kw, n * oh * ow)


def _rows(g: Array, groups: int) -> Array:
    """(n, m, oh, ow) to (groups, m / groups, windows)."""
    n, m, oh, ow = g.shape
    return g.swapaxes(0, 1).reshape(groups, m // groups, n * oh * ow)
