"""Pooling over two axes."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_floating
from dtrain.ops.conv import Pair, crop_hw, output_size, pad_hw, window_slices


@op
def max_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair):
    """The maximum of each window; the first of equal ones gets the gradient."""
    xp = array_module(x)
    h, w = x.shape[2:]
    oh = output_size(h, kernel[0], stride[0], padding[0], dilation[0])
    ow = output_size(w, kernel[1], stride[1], padding[1], dilation[1])
    windows = list(window_slices(kernel, stride, dilation, (oh, ow)))
    lowest = -xp.inf if is_floating(x.dtype) else xp.iinfo(x.dtype).min
    padded = pad_hw(x, padding, lowest)

    out = padded[windows[0][2]].copy()
    for _, _, place in windows[1:]:
        xp.maximum(out, padded[place], out=out)

    def grad_x(g):
        padded = pad_hw(x, padding, lowest)
        full = xp.zeros(padded.shape, g.dtype)
        free = xp.ones(out.shape, bool)  # windows whose maximum was not met yet
        for _, _, place in windows:
            here = padded[place]
            hit = ((here == out) | (here != here)) & free  # NaN is the maximum, as in PyTorch
            free ^= hit
            full[place] += g * hit
        return crop_hw(full, padding)

    return out, (grad_x,)


@op
def avg_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Pair):
    """The mean of each window, padding counted as zeros."""
    xp = array_module(x)
    n, c, h, w = x.shape
    oh = output_size(h, kernel[0], stride[0], padding[0])
    ow = output_size(w, kernel[1], stride[1], padding[1])
    windows = list(window_slices(kernel, stride, (1, 1), (oh, ow)))
    padded = pad_hw(x, padding)
    padded_shape, dtype = padded.shape, x.dtype
    share = 1 / (kernel[0] * kernel[1])

    out = xp.zeros((n, c, oh, ow), dtype)
    for _, _, place in windows:
        out += padded[place]

    def grad_x(g):
        full = xp.zeros(padded_shape, dtype)
        scaled = g * share
        for _, _, place in windows:
            full[place] += scaled
        return crop_hw(full, padding)

    return out * share, (grad_x,)
