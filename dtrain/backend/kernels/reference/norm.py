"""Normalization of rows, (rows, n), and of channels, (n, channels, inner)."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalize each row of x: (rows, n); weight, bias: (n,).

    Returns y, and what the gradient needs: mean and 1 / standard deviation, (rows, 1).
    """
    xp = array_module(x)
    mean = x.mean(1, keepdims=True)
    centered = x - mean
    rstd = 1 / xp.sqrt((centered * centered).mean(1, keepdims=True) + eps)
    out = centered * rstd
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean, rstd


def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias."""
    normal = (x - mean) * rstd
    of_normal = g if weight is None else g * weight
    along = (of_normal * normal).mean(1, keepdims=True)
    of_x = (of_normal - of_normal.mean(1, keepdims=True) - normal * along) * rstd
    return of_x, (g * normal).sum(0), g.sum(0)


def channel_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the (biased) variance of each channel of x: (n, channels, inner)."""
    mean = x.mean((0, 2))
    centered = x - mean[:, None]
    return mean, (centered * centered).mean((0, 2))


def channel_norm(
    x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel of x: (n, channels, inner)."""
    scale = 1 / array_module(x).sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    out = (x - mean[:, None]) * scale[:, None]
    return out if bias is None else out + bias[:, None]


def channel_norm_backward(
    g: Array, x: Array, mean: Array, var: Array, weight: Array | None, eps: float, of_batch: bool
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias.

    `of_batch` says that mean and var are those of x, so that the gradient goes through them
    (Ioffe and Szegedy 2015, section 3).
    """
    rstd = 1 / array_module(x).sqrt(var + eps)
    normal = (x - mean[:, None]) * rstd[:, None]
    of_weight, of_bias = (g * normal).sum((0, 2)), g.sum((0, 2))
    scale = (rstd if weight is None else rstd * weight)[:, None]
    if not of_batch:
        return g * scale, of_weight, of_bias
    share = 1 / max(x.shape[0] * x.shape[2], 1)
    through = normal * (of_weight * share)[:, None] + (of_bias * share)[:, None]
    return (g - through) * scale, of_weight, of_bias
