"""Normalization: batch, layer, root mean square and group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.reductions import reduce
from dtrain.onnx.forms.table import Form


def _along_channels(b: Builder, value: Any, ndim: int) -> Wire:
    """A vector of one number a channel, to broadcast with (n, c, ...)."""
    return b.reshape(b.wire(value), [-1] + [1] * (ndim - 2)) if ndim > 2 else b.wire(value)


def _scaled(b: Builder, x: Wire, weight: Any, bias: Any) -> Wire:
    x = x if weight is None else b.Mul(x, weight)
    return x if bias is None else b.Add(x, bias)


def batch_statistics(b: Builder, x: Wire) -> tuple[Wire, Wire]:
    """The mean and the variance of each channel."""
    x = b.cast(x, "float32") if x.dtype.itemsize == 2 else x
    axes = (0, *range(2, x.ndim))
    centered = b.Sub(x, reduce(b, "ReduceMean", x, axes, True))
    return reduce(b, "ReduceMean", x, axes), reduce(
        b, "ReduceMean", b.Mul(centered, centered), axes
    )


def batch_norm(
    b: Builder, x: Wire, weight: Wire | None, bias: Wire | None, *, mean: Any, var: Any,
    eps: float, from_batch: bool,
) -> Wire:  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel."""
    mean, var = b.cast(b.wire(mean), x.dtype), b.cast(b.wire(var), x.dtype)
    ones = weight if weight is not None else b.full(mean.shape, 1, x.dtype)
    zeros = bias if bias is not None else b.full(mean.shape, 0, x.dtype)
    return b.BatchNormalization(x, ones, zeros, mean, var, epsilon=eps)


def layer_norm(
    b: Builder, x: Wire, weight: Wire | None, bias: Wire | None, *, axes: int, eps: float
) -> Wire:
    """Normalized over the last `axes` axes."""
    if weight is None:
        weight = b.full(x.shape[x.ndim - axes :], 1, x.dtype)
    given = [x, weight] if bias is None else [x, weight, bias]
    return b.node("LayerNormalization", given, [x.dtype], axis=-axes, epsilon=eps)[0]


def rms_norm(b: Builder, x: Wire, weight: Wire | None, *, axes: int, eps: float) -> Wire:
    """x / sqrt(mean(x^2) + eps) over the last `axes` axes."""
    over = tuple(range(-axes, 0))
    mean = reduce(b, "ReduceMean", b.Mul(x, x), over, True)
    return _scaled(b, b.Div(x, b.Sqrt(b.Add(mean, eps))), weight, None)


def _normalized(b: Builder, x: Wire, axes: Sequence[int], eps: float) -> Wire:
    centered = b.Sub(x, reduce(b, "ReduceMean", x, axes, True))
    var = reduce(b, "ReduceMean", b.Mul(centered, centered), axes, True)
    return b.Div(centered, b.Sqrt(b.Add(var, eps)))


def group_norm(
    b: Builder, x: Wire, weight: Wire | None, bias: Wire | None, *, groups: int, eps: float
) -> Wire:
    """Each group of channels of each sample normalized."""
    inner = b.numel([x.shape[1] // groups, *x.shape[2:]])
    rows = b.Reshape(x, b.ints([x.shape[0], groups, inner]), allowzero=1)
    out = b.Reshape(_normalized(b, rows, (2,), eps), b.Shape(x, dtype=np.int64))
    scale = None if weight is None else _along_channels(b, weight, x.ndim)
    shift = None if bias is None else _along_channels(b, bias, x.ndim)
    return _scaled(b, out, scale, shift)


FORMS: dict[str, Form] = {
    "batch_statistics": batch_statistics,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
}
