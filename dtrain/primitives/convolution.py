"""Convolution over two axes, and its transpose."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, is_cupy, kernels

Pair = tuple[int, int]


@op(takes_halves=True)
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> OutputAndVJPs:
    """Cross-correlation. x: (n, c, h, w); weight: (m, c / groups, kh, kw); bias: (m,)."""
    how = stride, padding, dilation, groups
    out = kernels.conv(x, weight, bias, *how)
    hw, kernel = x.shape[2:], weight.shape[2:]

    def of_x(g: Array) -> Array:
        return kernels.conv_grad_x(g, weight, hw, *how)

    grad_x: Any = of_x
    if is_cupy(x):  # the backward pass adds to a gradient of x that is there in the same launch
        grad_x.adding = _adding(weight, hw, how)
    return out, (
        grad_x,
        lambda g: kernels.conv_grad_weight(g, x, kernel, *how),
        _sum_pixels,
    )


def _adding(weight: Array, hw: Pair, how: tuple[Any, ...]) -> Any:
    """The vjp of x that adds; made here, so that conv2d has no vjp that a CPU never makes."""
    return lambda g, before: kernels.add_conv_grad_x(g, weight, before, hw, *how)


def _sum_pixels(g: Array) -> Array:
    """The gradient of the bias, (m,). g: (n, m, oh, ow)."""
    if is_cupy(g):  # one launch
        return g.sum((0, 2, 3))
    return kernels.sum_rows(g.reshape(-1, g.shape[2] * g.shape[3])).reshape(g.shape[:2]).sum(0)


@op(takes_halves=True)
def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    hw: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> OutputAndVJPs:
    """The gradient that conv2d has for an input (n, c, *hw), where x is the gradient it is given.

    x: (n, m, oh, ow); weight: (m, c / groups, kh, kw); bias: (c,).
    """
    how = stride, padding, dilation, groups
    out = array_module(x).ascontiguousarray(kernels.conv_grad_x(x, weight, hw, *how))
    if bias is not None:
        out += bias.reshape(-1, 1, 1)
    kernel = weight.shape[2:]
    return out, (
        lambda g: kernels.conv(g, weight, None, *how),
        lambda g: kernels.conv_grad_weight(x, g, kernel, *how),
        _sum_pixels,
    )
