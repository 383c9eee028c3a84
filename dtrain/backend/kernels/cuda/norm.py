"""Normalization of rows, x: (rows, n); that of channels is channel_norm.py's."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.channel_norm import (
    batch_norm as batch_norm,
    batch_norm_relu_backward as batch_norm_relu_backward,
    channel_norm as channel_norm,
    channel_norm_backward as channel_norm_backward,
    channel_statistics as channel_statistics,
    update_running as update_running,
)
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block, real_dtype
from dtrain.backend.kernels.cuda.parts import contiguous, count_parts


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalize each row of x; returns the output (rows, n), mean and rstd, (rows, 1)."""
    import cupy

    mean = cupy.empty((len(x), 1), real_dtype(x.dtype))
    out, rstd = _normalize_rows(x, weight, bias, mean, eps)
    return out, mean, rstd


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Divide each row of x by the root of its mean square; returns the output and 1 / root."""
    return _normalize_rows(x, weight, None, None, eps)


def _normalize_rows(
    x: Array, weight: Array | None, bias: Array | None, mean: Array | None, eps: float
) -> tuple[Array, Array]:
    """The output and rstd; fills `mean`, or counts it as 0 if it is None."""
    import cupy

    rows, n = x.shape
    out, rstd = cupy.empty((rows, n), x.dtype), cupy.empty((rows, 1), real_dtype(x.dtype))
    x, weight, bias = contiguous(x, weight, bias)
    if bias is not None and weight is not None:
        bias = bias.astype(weight.dtype, copy=False)
    centered = mean is not None
    for_each_block(
        "norm", "layer_norm", rows, x, weight, bias, out, mean, rstd, float(eps), centered, n,
        param=weight if weight is not None else bias,
    )  # fmt: skip
    return out, rstd


def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias."""
    return _rows_backward(g, x, weight, mean, rstd)


def rms_norm_backward(
    g: Array, x: Array, weight: Array | None, scale: Array
) -> tuple[Array, Array]:
    """The gradients of x and weight; scale: 1 / root."""
    return _rows_backward(g, x, weight, None, scale)[:2]


def add_layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, before: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, added to `before`, of weight and of bias."""
    return _rows_backward(g, x, weight, mean, rstd, before)


def add_rms_norm_backward(
    g: Array, x: Array, weight: Array | None, scale: Array, before: Array
) -> tuple[Array, Array]:
    """The gradients of x, added to `before`, and of weight."""
    return _rows_backward(g, x, weight, None, scale, before)[:2]


def _rows_backward(
    g: Array, x: Array, weight: Array | None, mean: Array | None, rstd: Array,
    before: Array | None = None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of x, weight and bias; mean: None counts as 0, and bias has no gradient."""
    import cupy

    rows, n = x.shape
    real, columns, centered = real_dtype(x.dtype), -(-n // 32), mean is not None
    parts = count_parts(columns, rows * 32)
    grad_x, sums = cupy.empty((rows, n), x.dtype), cupy.empty((2, parts, n), real)
    g, x, before = contiguous(g, x, before, dtype=x.dtype)
    mean, rstd = contiguous(mean, rstd, dtype=real)
    (weight,) = contiguous(weight)
    arrays = g, x, weight, mean, rstd, before, grad_x
    for_each_block(
        "norm", "layer_norm_backward", columns * parts + rows, *arrays,
        sums[0], sums[1], centered, n, rows, parts, columns * parts, param=weight,
    )  # fmt: skip
    if parts == 1:
        return grad_x, sums[0, 0], sums[1, 0]
    grads = cupy.empty((2, n), real)
    both = sums[1] if centered else None
    for_each("norm", "add_parts", n, sums[0], both, grads[0], grads[1], parts)
    return grad_x, grads[0], grads[1]


def group_norm(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalize each group of channels; returns the output, mean and rstd, (n * groups, 1)."""
    n, channels, inner = x.shape
    rows = x.reshape(n * groups, channels // groups * inner)
    out, mean, rstd = layer_norm(rows, None, None, eps)
    out = out.reshape(x.shape)
    out = out if weight is None else out * weight[:, None]
    return out if bias is None else out + bias[:, None], mean, rstd
