"""Normalization: batch and layer."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module


def channel_axes(x: Array) -> tuple[int, ...]:
    """All axes but the channels'. x: (n, c, ...)"""
    return (0, *range(2, x.ndim))


def per_channel(value: Array, ndim: int) -> Array:
    """(c,) to (1, c, 1, ...)."""
    return value.reshape(1, -1, *(1,) * (ndim - 2))


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the (biased) variance of each channel. x: (n, c, ...); returns (c,), (c,)."""
    axes = channel_axes(x)
    mean = x.mean(axes)
    centered = x - per_channel(mean, x.ndim)
    centered *= centered
    return mean, centered.mean(axes)


@op
def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, *, mean: Array, var: Array, eps: float,
    of_batch: bool,
):  # fmt: skip
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel. x: (n, c, ...).

    `of_batch` says that mean and var are those of x, so that the gradient goes through them
    (Ioffe and Szegedy 2015, section 3).
    """
    xp = array_module(x)
    ndim, axes = x.ndim, channel_axes(x)
    rstd = 1 / xp.sqrt(var + eps)
    normal = x - per_channel(mean, ndim)
    normal *= per_channel(rstd, ndim)
    out = normal if weight is None else normal * per_channel(weight, ndim)
    if bias is not None:
        out = out + per_channel(bias, ndim)
    count = max(normal.size // max(normal.shape[1], 1), 1)

    def grad_x(g):
        scale = per_channel(rstd if weight is None else rstd * weight, ndim)
        if not of_batch:
            return g * scale
        along = per_channel((g * normal).sum(axes) / count, ndim)
        grad = normal * along
        grad += per_channel(g.sum(axes) / count, ndim)
        xp.subtract(g, grad, out=grad)
        grad *= scale
        return grad

    return out, (grad_x, lambda g: (g * normal).sum(axes), lambda g: g.sum(axes))


@op
def layer_norm(x: Array, weight: Array | None, bias: Array | None, *, axes: int, eps: float):
    """Normalize over the last `axes` axes (Ba et al. 2016); weight and bias have their shape."""
    xp = array_module(x)
    last = tuple(range(x.ndim - axes, x.ndim))
    lead = tuple(range(x.ndim - axes))
    centered = x - x.mean(last, keepdims=True)
    rstd = 1 / xp.sqrt((centered * centered).mean(last, keepdims=True) + eps)
    normal = centered * rstd
    out = normal if weight is None else normal * weight
    if bias is not None:
        out = out + bias

    def grad_x(g):
        g = g if weight is None else g * weight
        along = (g * normal).mean(last, keepdims=True)
        return (g - g.mean(last, keepdims=True) - normal * along) * rstd

    return out, (grad_x, lambda g: (g * normal).sum(lead), lambda g: g.sum(lead))
