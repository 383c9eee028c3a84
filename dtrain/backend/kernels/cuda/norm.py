"""Normalization of rows, x: (rows, n), and of channels, x: (n, channels, inner)."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block


def _filled(value: Array | None, like: Array, n: int, number: float) -> Array:
    """A weight or bias, (n,); for None n times `number`, 1 or 0, which changes nothing."""
    import cupy

    return cupy.full(n, number, like.dtype) if value is None else cupy.ascontiguousarray(value)


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalize each row of x; returns the output (rows, n), mean and rstd, (rows, 1)."""
    import cupy

    rows, n = x.shape
    out, mean, rstd = (cupy.empty((rows, width), x.dtype) for width in (n, 1, 1))
    weight, bias = _filled(weight, x, n, 1), _filled(bias, x, n, 0)
    x = cupy.ascontiguousarray(x)
    for_each_block("norm", "layer_norm", rows, x, weight, bias, out, mean, rstd, float(eps), n)
    return out, mean, rstd


def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias."""
    import cupy

    rows, n = x.shape
    grad_x, grad_weight, grad_bias = (cupy.empty(shape, x.dtype) for shape in ((rows, n), n, n))
    g, x, weight = (*map(cupy.ascontiguousarray, (g, x)), _filled(weight, x, n, 1))
    for_each_block("norm", "layer_norm_of_x", rows, g, x, weight, mean, rstd, grad_x, n)
    for_each_block(
        "norm",
        "layer_norm_of_weight",
        -(-n // 32),
        g,
        x,
        mean,
        rstd,
        grad_weight,
        grad_bias,
        n,
        rows,
    )
    return grad_x, grad_weight, grad_bias


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

    n, channels, inner = x.shape
    mean, var = cupy.empty(channels, x.dtype), cupy.empty(channels, x.dtype)
    x = cupy.ascontiguousarray(x)
    for_each_block("norm", "channel_statistics", channels, x, mean, var, n, inner)
    return mean, var


def channel_norm(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """(x - mean) / sqrt(var + eps) weight + bias, for each channel."""
    import cupy

    _, channels, inner = x.shape
    rstd = 1 / cupy.sqrt(var + eps)
    scale, bias = rstd if weight is None else rstd * weight, _filled(bias, x, channels, 0)
    out = cupy.empty(x.shape, x.dtype)
    x, mean = cupy.ascontiguousarray(x), cupy.ascontiguousarray(mean)
    for_each("norm", "channel_norm", x.size, x, mean, scale, bias, out, inner, channels)
    return out


def channel_norm_backward(
    g: Array,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    eps: float,
    from_batch: bool,
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias; through mean and var if `from_batch`."""
    import cupy

    n, channels, inner = x.shape
    g, x, mean = map(cupy.ascontiguousarray, (g, x, mean))
    rstd = 1 / cupy.sqrt(var + eps)
    grad_weight, grad_bias = cupy.empty(channels, x.dtype), cupy.empty(channels, x.dtype)
    for_each_block(
        "norm", "channel_sums", channels, g, x, mean, rstd, grad_weight, grad_bias, n, inner
    )
    scale = rstd if weight is None else rstd * weight
    grad_x = cupy.empty(x.shape, x.dtype)
    if not from_batch:  # NaN in x does not reach its gradient
        zeros = cupy.zeros_like(scale)
        for_each("norm", "channel_norm", x.size, g, zeros, scale, zeros, grad_x, inner, channels)
        return grad_x, grad_weight, grad_bias
    share = 1 / max(n * inner, 1)
    along, total = grad_weight * rstd * share, grad_bias * share
    for_each(
        "norm",
        "channel_norm_of_x",
        x.size,
        g,
        x,
        mean,
        scale,
        along,
        total,
        grad_x,
        inner,
        channels,
    )
    return grad_x, grad_weight, grad_bias
