"""Normalization of rows, x: (rows, n), and of channels, x: (n, channels, inner).

Statistics are float32 for halves, and so are the gradients of weights of channels.
"""

from __future__ import annotations

from typing import Any

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block, real_dtype

#: Sums are divided among at least so many blocks, if each then has at least so many elements.
_BLOCKS, _ELEMENTS = 256, 1 << 15


def _parts(blocks: int, elements: int) -> int:
    """In how many parts each of `blocks` sums over `elements` is divided; none is empty."""
    parts = max(1, min(-(-_BLOCKS // max(blocks, 1)), elements // _ELEMENTS))
    length = max(1, -(-elements // parts))
    return max(1, -(-elements // length))


def _contiguous(*arrays: Array | None, dtype: Any = None) -> Any:
    import cupy

    return [None if a is None else cupy.ascontiguousarray(a, dtype) for a in arrays]


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
    x, weight, bias = _contiguous(x, weight, bias)
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
    parts = _parts(columns, rows * 32)
    grad_x, sums = cupy.empty((rows, n), x.dtype), cupy.empty((2, parts, n), real)
    g, x, before = _contiguous(g, x, before, dtype=x.dtype)
    mean, rstd = _contiguous(mean, rstd, dtype=real)
    (weight,) = _contiguous(weight)
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


def channel_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the biased variance, (channels,), of each channel of x."""
    import cupy

    (n, channels, inner), real = x.shape, real_dtype(x.dtype)
    parts = _parts(channels, n * inner)
    mean, var = cupy.empty((2, channels * parts), real)
    sizes = parts, n, inner, channels
    (x,) = _contiguous(x)
    for_each_block("channel", "channel_statistics", channels * parts, x, mean, var, *sizes)
    if parts == 1:
        return mean, var
    merged_mean, merged_var = cupy.empty((2, channels), real)
    arrays = mean, var, merged_mean, merged_var
    for_each("channel", "merge_statistics", channels, *arrays, parts, n * inner)
    return merged_mean, merged_var


def update_running(
    running_mean: Array, running_var: Array, mean: Array, var: Array, momentum: float,
    correction: float, batches: Array | None,
) -> None:  # fmt: skip
    """Update running_mean and running_var, (channels,), in place, and num_batches_tracked."""
    real = real_dtype(running_mean.dtype)
    mean, var = _contiguous(mean, var, dtype=real)
    numbers = float(momentum), 1 - float(momentum), float(correction)
    arrays = running_mean, running_var, mean, var, batches
    for_each("channel", "update_running", len(mean), *arrays, *numbers)


def channel_norm(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """(x - mean) / sqrt(var + eps) weight + bias, for each channel."""
    import cupy

    (_, channels, inner), real = x.shape, real_dtype(x.dtype)
    out = cupy.empty(x.shape, x.dtype)
    x, weight, bias = _contiguous(x, weight, bias)
    if bias is not None and weight is not None:
        bias = bias.astype(weight.dtype, copy=False)
    mean, var = _contiguous(mean, var, dtype=real)
    for_each(
        "channel", "channel_norm", x.size, x, mean, var, weight, bias, out, float(eps), inner,
        channels, param=weight if weight is not None else bias,
    )  # fmt: skip
    return out


def channel_norm_backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, eps: float,
    from_batch: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of x, weight and bias; through mean and var if `from_batch`."""
    import cupy

    (n, channels, inner), real = x.shape, real_dtype(x.dtype)
    g, x = _contiguous(g, x, dtype=x.dtype)
    mean, var = _contiguous(mean, var, dtype=real)
    (weight,) = _contiguous(weight)
    parts = _parts(channels, n * inner)
    sums = cupy.empty((2, channels * parts), real)
    for_each_block(
        "channel", "channel_sums", channels * parts, g, x, mean, var, sums[0], sums[1], float(eps),
        parts, n, inner, channels,
    )  # fmt: skip
    if parts > 1:
        merged = cupy.empty((2, channels), real)
        for_each("channel", "merge_sums", channels, sums[0], sums[1], merged[0], merged[1], parts)
        sums = merged
    grad_x = cupy.empty(x.shape, x.dtype)
    share = 1.0 / max(n * inner, 1) if from_batch else 0.0
    for_each(
        "channel", "channel_norm_of_x", x.size, g, x, mean, var, weight, sums[0], sums[1], grad_x,
        float(eps), share, inner, channels, param=weight,
    )  # fmt: skip
    return grad_x, sums[0], sums[1]
