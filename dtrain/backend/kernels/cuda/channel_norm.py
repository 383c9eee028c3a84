"""Normalization of channels, x: (n, channels, inner).

Statistics are float32 for halves, and so are the gradients of weights. Where a block has a whole
channel of few elements, it normalizes it in the launch that computes its statistics.
"""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block, real_dtype
from dtrain.backend.kernels.cuda.parts import contiguous, count_parts

#: Channels of at most so many elements are normalized in one launch. More blocks than channels read
#: more elements faster in a launch of their own.
_TOGETHER = 1 << 15


def channel_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the biased variance, (channels,), of each channel of x."""
    (x,) = contiguous(x)
    return _statistics(x, None, None, (None, None, None, 0.0, 0.0, 0.0), None, 0.0, False)


def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, running_mean: Array | None,
    running_var: Array | None, batches: Array | None, momentum: float, correction: float,
    eps: float, rectified: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Normalize x by the statistics of its channels, by which the running ones are updated, and
    take relu of it if `rectified`; returns the output, the mean and the variance."""
    import cupy

    n, channels, inner = x.shape
    x, weight, bias = contiguous(x, weight, bias)
    param = _param(weight, bias)
    running = running_mean, running_var, batches
    apart = param is not None and running_mean is not None and running_mean.dtype != param.dtype
    numbers = float(momentum), 1 - float(momentum), float(correction)
    together = count_parts(channels, n * inner) == 1 and n * inner <= _TOGETHER
    out = cupy.empty(x.shape, x.dtype)
    mean, var = _statistics(
        x, weight, bias, (*((None, None, None) if apart else running), *numbers),
        out if together else None, eps, rectified,
    )  # fmt: skip
    if apart and running_mean is not None and running_var is not None:
        update_running(running_mean, running_var, mean, var, momentum, correction, batches)
    if not together:
        _normalize(x, mean, var, weight, bias, out, eps, rectified)
    return out, mean, var


def _param(weight: Array | None, bias: Array | None) -> Array | None:
    """The array whose dtype weight and bias have."""
    return weight if weight is not None else bias


def _statistics(
    x: Array, weight: Array | None, bias: Array | None, running: tuple, out: Array | None,
    eps: float, rectified: bool,
) -> tuple[Array, Array]:  # fmt: skip
    """The mean and variance of each channel.

    running : the running mean, variance and number of batches, or None; momentum, 1 - momentum and
        the unbiased variance over the biased one
    out : memory for the output of channels that are one part; None leaves it out
    """
    import cupy

    (n, channels, inner), real = x.shape, real_dtype(x.dtype)
    parts = count_parts(channels, n * inner)
    mean, var = cupy.empty((2, channels * parts), real)
    param = _param(weight, bias)
    param = running[0] if param is None else param
    here = running if parts == 1 else (None, None, None, *running[3:])
    for_each_block(
        "channel", "channel_statistics", channels * parts, x, mean, var, *here, weight,
        _like(bias, weight), out, float(eps), rectified, parts, n, inner, channels, param=param,
    )  # fmt: skip
    if parts == 1:
        return mean, var
    merged_mean, merged_var = cupy.empty((2, channels), real)
    for_each(
        "channel", "merge_statistics", channels, x, mean, var, merged_mean, merged_var, *running,
        parts, n * inner, param=param,
    )  # fmt: skip
    return merged_mean, merged_var


def _like(bias: Array | None, weight: Array | None) -> Array | None:
    """The bias in the dtype of the weight."""
    return bias if bias is None or weight is None else bias.astype(weight.dtype, copy=False)


def update_running(
    running_mean: Array, running_var: Array, mean: Array, var: Array, momentum: float,
    correction: float, batches: Array | None,
) -> None:  # fmt: skip
    """Update the running mean and variance, (channels,), and increment num_batches_tracked."""
    real = real_dtype(running_mean.dtype)
    mean, var = contiguous(mean, var, dtype=real)
    numbers = float(momentum), 1 - float(momentum), float(correction)
    arrays = running_mean, running_var, mean, var, batches
    for_each("channel", "update_running", len(mean), *arrays, *numbers)


def channel_norm(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """(x - mean) / sqrt(var + eps) weight + bias, for each channel."""
    import cupy

    out = cupy.empty(x.shape, x.dtype)
    x, weight, bias = contiguous(x, weight, bias)
    mean, var = contiguous(mean, var, dtype=real_dtype(x.dtype))
    _normalize(x, mean, var, weight, bias, out, eps, False)
    return out


def _normalize(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, out: Array,
    eps: float, rectified: bool,
) -> None:  # fmt: skip
    """Write the normalized x to `out`, relu of it if `rectified`."""
    _, channels, inner = x.shape
    for_each(
        "channel", "channel_norm", x.size, x, mean, var, weight, _like(bias, weight), out,
        float(eps), rectified, inner, channels, param=_param(weight, bias),
    )  # fmt: skip


def channel_norm_backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, eps: float,
    from_batch: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of x, weight and bias; through mean and var if `from_batch`."""
    return _backward(g, x, mean, var, weight, None, eps, from_batch)


def batch_norm_relu_backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, out: Array, eps: float
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias; g is that of `out`, relu of the normalized x."""
    return _backward(g, x, mean, var, weight, out, eps, True)


def _backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, out: Array | None,
    eps: float, from_batch: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    import cupy

    (n, channels, inner), real = x.shape, real_dtype(x.dtype)
    g, x, out = contiguous(g, x, out, dtype=x.dtype)
    mean, var = contiguous(mean, var, dtype=real)
    (weight,) = contiguous(weight)
    parts = count_parts(channels, n * inner)
    together = parts == 1 and n * inner <= _TOGETHER
    share = 1.0 / max(n * inner, 1) if from_batch else 0.0
    sums, grad_x = cupy.empty((2, channels * parts), real), cupy.empty(x.shape, x.dtype)
    arrays = g, x, out, mean, var, weight
    for_each_block(
        "channel", "channel_sums", channels * parts, *arrays, sums[0], sums[1],
        grad_x if together else None, float(eps), share, parts, n, inner, channels, param=weight,
    )  # fmt: skip
    if parts > 1:
        merged = cupy.empty((2, channels), real)
        for_each("channel", "merge_sums", channels, sums[0], sums[1], merged[0], merged[1], parts)
        sums = merged
    if not together:
        for_each(
            "channel", "channel_norm_of_x", x.size, *arrays, sums[0], sums[1], grad_x, float(eps),
            share, inner, channels, param=weight,
        )  # fmt: skip
    return grad_x, sums[0], sums[1]
