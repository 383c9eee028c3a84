"""Pooling over two axes, and the argmax of arbitrary windows."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels

Pair = tuple[int, int]


@op(takes_halves=True)
def max_pool2d(
    x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> OutputAndVJPs:
    """The maximum of each window; the first of equal ones, or the last NaN, gets the gradient."""
    windows, hw = (kernel, stride, padding, dilation), x.shape[2:]
    out, positions = kernels.max_pool(x, *windows)
    return out, (lambda g: kernels.max_pool_backward(g, positions, hw, *windows),)


@op(takes_halves=True)
def avg_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Pair) -> OutputAndVJPs:
    """The mean of each window, padding counted as zeros."""
    windows, hw = (kernel, stride, padding), x.shape[2:]
    out = kernels.avg_pool(x, *windows)
    return out, (lambda g: kernels.avg_pool_backward(g, hw, *windows),)


@exact_op
def window_argmax(x: Array, *, windows: np.ndarray) -> OutputAndVJPs:
    """The index of the first maximum, or the last NaN, of each window.

    x: (..., elements); out: (..., windows).
    windows: (windows, size) on the host, or (..., windows, size): indices of elements.
    """
    xp = array_module(x)
    windows = xp.asarray(windows)
    if windows.ndim == 2:
        return windows[xp.arange(len(windows)), _argmax(x[..., windows])], ()
    lines = xp.take_along_axis(x[..., None, :], windows, -1)
    return xp.take_along_axis(windows, _argmax(lines)[..., None], -1)[..., 0], ()


def _argmax(lines: Array) -> Array:
    """The index of the first maximum, or the last NaN, along the last axis."""
    is_nan = lines != lines
    last_nan = lines.shape[-1] - 1 - is_nan[..., ::-1].argmax(-1)
    return array_module(lines).where(is_nan.any(-1), last_nan, lines.argmax(-1))
