"""Convolution by cuDNN. The functions return None where cuDNN has no engine; conv.py computes
these cases.

x: (n, c, h, w); weight: (m, c / groups, kh, kw); g and the output: (n, m, oh, ow). A weight of
fewer channels than x tells cuDNN of groups.
"""

from __future__ import annotations

from typing import Any

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.cudnn_plan import TYPES, compute, is_enabled
from dtrain.backend.kernels.cuda.parts import contiguous
from dtrain.backend.kernels.reference.window import Pair, window_counts


def takes(x: Array, weight: Array) -> bool:
    """Whether cuDNN may compute with these arrays: x or the gradient of outputs or of weight."""
    is_known = x.dtype == weight.dtype and x.dtype.char in TYPES
    return is_known and x.size > 0 and weight.size > 0 and is_enabled()


def conv(x: Array, weight: Array, stride: Pair, padding: Pair, dilation: Pair) -> Array | None:
    """Cross-correlation of x with weight."""
    import cupy

    windows = window_counts(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    out = cupy.empty((len(x), len(weight), *windows), x.dtype)
    arrays = contiguous(x, weight), [out]
    return out if out.size and compute(_define_conv, *arrays, stride, padding, dilation) else None


def conv_grad_x(
    g: Array, weight: Array, channels: int, hw: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array | None:
    """The gradient of x, (n, channels, *hw)."""
    import cupy

    grad = cupy.empty((len(g), channels, *hw), g.dtype)
    arrays = contiguous(g, weight), [grad]
    return grad if compute(_define_grad_x, *arrays, stride, padding, dilation) else None


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array | None:
    """The gradient of weight, (m, c / groups, *kernel)."""
    import cupy

    grad = cupy.empty((g.shape[1], x.shape[1] // groups, *kernel), g.dtype)
    arrays = contiguous(g, x), [grad]
    return grad if compute(_define_grad_weight, *arrays, stride, padding, dilation) else None


def _define_conv(graph: Any, x: Any, weight: Any, *how: Pair) -> list:
    return [graph.conv_fprop(image=x, weight=weight, **_windows(*how))]


def _define_grad_x(graph: Any, g: Any, weight: Any, *how: Pair) -> list:
    return [graph.conv_dgrad(loss=g, filter=weight, **_windows(*how))]


def _define_grad_weight(graph: Any, g: Any, x: Any, *how: Pair) -> list:
    return [graph.conv_wgrad(image=x, loss=g, **_windows(*how))]


def _windows(stride: Pair, padding: Pair, dilation: Pair) -> dict[str, list[int]]:
    return {"padding": [*padding], "stride": [*stride], "dilation": [*dilation]}
