"""Pooling over two axes."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, kernels

Pair = tuple[int, int]


@op
def max_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair):
    """The maximum of each window; the first of equal ones gets the gradient."""
    windows = kernel, stride, padding, dilation
    out = kernels.max_pool(x, *windows)
    return out, (lambda g: kernels.max_pool_backward(g, x, out, *windows),)


@op
def avg_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Pair):
    """The mean of each window, padding counted as zeros."""
    windows, hw = (kernel, stride, padding), x.shape[2:]
    out = kernels.avg_pool(x, *windows)
    return out, (lambda g: kernels.avg_pool_backward(g, hw, *windows),)
