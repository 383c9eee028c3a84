"""Normalization of rows and of channels."""

from __future__ import annotations

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block


def _filled(value: Array | None, like: Array, n: int, number: float) -> Array:
    """A weight or a bias; where it is None an array that changes nothing."""
    import cupy

    return cupy.full(n, number, like.dtype) if value is None else cupy.ascontiguousarray(value)


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
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
    import cupy

    rows, n = x.shape
    of_x, of_weight, of_bias = (cupy.empty(shape, x.dtype) for shape in ((rows, n), n, n))
    g, x, weight = (*map(cupy.ascontiguousarray, (g, x)), _filled(weight, x, n, 1))
    for_each_block("norm", "layer_norm_of_x", rows, g, x, weight, mean, rstd, of_x, n)
    for_each_block(
        "norm", "layer_norm_of_weight", -(-n // 32), g, x, mean, rstd, of_weight, of_bias, n, rows
    )
    return of_x, of_weight, of_bias


def channel_statistics(x: Array) -> tuple[Array, Array]:
    import cupy

    n, channels, inner = x.shape
    mean, var = cupy.empty(channels, x.dtype), cupy.empty(channels, x.dtype)
    x = cupy.ascontiguousarray(x)
    for_each_block("norm", "channel_statistics", channels, x, mean, var, n, inner)
    return mean, var


def channel_norm(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    import cupy

    _, channels, inner = x.shape
    rstd = 1 / cupy.sqrt(var + eps)
    scale, bias = rstd if weight is None else rstd * weight, _filled(bias, x, channels, 0)
    out = cupy.empty(x.shape, x.dtype)
    x, mean = cupy.ascontiguousarray(x), cupy.ascontiguousarray(mean)
    for_each("norm", "channel_norm", x.size, x, mean, scale, bias, out, inner, channels)
    return out


def channel_norm_backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, eps: float, of_batch: bool
) -> tuple[Array, Array, Array]:
    import cupy

    n, channels, inner = x.shape
    g, x, mean = map(cupy.ascontiguousarray, (g, x, mean))
    rstd = 1 / cupy.sqrt(var + eps)
    of_weight, of_bias = cupy.empty(channels, x.dtype), cupy.empty(channels, x.dtype)
    for_each_block("norm", "channel_sums", channels, g, x, mean, rstd, of_weight, of_bias, n, inner)
    scale = rstd if weight is None else rstd * weight
    share = of_batch / max(n * inner, 1)
    along, total = of_weight * rstd * share, of_bias * share
    of_x = cupy.empty(x.shape, x.dtype)
    for_each(
        "norm", "channel_norm_of_x", x.size, g, x, mean, scale, along, total, of_x, inner, channels
    )
    return of_x, of_weight, of_bias
