"""Pooling over two axes, and the argmax of arbitrary windows."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels

Pair = tuple[int, int]


@op
def max_pool2d(
    x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> OutputAndVJPs:
    """The maximum of each window; the first of equal ones gets the gradient."""
    windows = kernel, stride, padding, dilation
    out = kernels.max_pool(x, *windows)
    return out, (lambda g: kernels.max_pool_backward(g, x, out, *windows),)


@op
def avg_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Pair) -> OutputAndVJPs:
    """The mean of each window, padding counted as zeros."""
    windows, hw = (kernel, stride, padding), x.shape[2:]
    out = kernels.avg_pool(x, *windows)
    return out, (lambda g: kernels.avg_pool_backward(g, hw, *windows),)


@exact_op
def window_argmax(x: Array, *, windows: np.ndarray) -> OutputAndVJPs:
    """The index of the first maximum of each window. x: (..., elements); out: (..., windows).

    windows: (windows, size) on the host, or (..., windows, size): indices of elements.
    """
    xp = array_module(x)
    windows = xp.asarray(windows)
    if windows.ndim == 2:
        best = x[..., windows].argmax(-1)
        return windows[xp.arange(len(windows)), best], ()
    lines = xp.take_along_axis(x[..., None, :], windows, -1)
    return xp.take_along_axis(windows, lines.argmax(-1)[..., None], -1)[..., 0], ()
