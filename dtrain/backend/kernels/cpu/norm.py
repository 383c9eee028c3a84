"""Normalization of rows, x: (rows, n), and of channels, x: (n, channels, inner).

Two passes over x forward, two backward. The statistics of channels add rows of `inner` elements in
the dtype of x, and the sums of the rows in float64. The loops write into their last arguments.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.reference import norm as reference


@compiled
def _layer_norm(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    eps: float,
    out: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
) -> None:
    """out = (x - mean) rstd weight + bias, with the mean and rstd, (rows, 1), of each row of x."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    n = x.shape[1]
    for i in range(x.shape[0]):
        total = zero
        for j in range(n):
            total += x[i, j]
        m = x.dtype.type(total / n)
        squares = zero
        for j in range(n):
            squares += (x[i, j] - m) * (x[i, j] - m)
        r = one / x.dtype.type(math.sqrt(squares / n + eps))
        for j in range(n):
            out[i, j] = (x[i, j] - m) * r * weight[j] + bias[j]
        mean[i, 0], rstd[i, 0] = m, r


@compiled
def _layer_norm_backward(
    g: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    grad_x: np.ndarray,
    grad_weight: np.ndarray,
    grad_bias: np.ndarray,
) -> None:
    """The gradients of x, weight and bias; the rows of g add to those of weight and bias."""
    zero = x.dtype.type(0)
    n = x.shape[1]
    for i in range(x.shape[0]):
        m, r = mean[i, 0], rstd[i, 0]
        total, along = zero, zero
        for j in range(n):
            normal, grad_normal = (x[i, j] - m) * r, g[i, j] * weight[j]
            total += grad_normal
            along += grad_normal * normal
        a, b = x.dtype.type(total / n), x.dtype.type(along / n)
        for j in range(n):
            normal = (x[i, j] - m) * r
            grad_x[i, j] = (g[i, j] * weight[j] - a - normal * b) * r
            grad_weight[j] += g[i, j] * normal
            grad_bias[j] += g[i, j]


@compiled
def _channel_statistics(x: np.ndarray, mean: np.ndarray, var: np.ndarray) -> None:
    """The mean and the biased variance, (channels,), of each channel of x."""
    count = x.shape[0] * x.shape[2]
    for c in range(x.shape[1]):
        total = 0.0
        for i in range(x.shape[0]):
            row = x.dtype.type(0)
            for j in range(x.shape[2]):
                row += x[i, c, j]
            total += row
        m = x.dtype.type(total / count)
        total = 0.0
        for i in range(x.shape[0]):
            row = x.dtype.type(0)
            for j in range(x.shape[2]):
                row += (x[i, c, j] - m) * (x[i, c, j] - m)
            total += row
        mean[c], var[c] = m, total / count


@compiled
def _channel_norm(
    x: np.ndarray, mean: np.ndarray, scale: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    """out = (x - mean) scale + bias, for each channel."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            m, s, b = mean[c], scale[c], bias[c]
            for j in range(x.shape[2]):
                out[i, c, j] = (x[i, c, j] - m) * s + b


@compiled
def _channel_sums(
    g: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    grad_weight: np.ndarray,
    grad_bias: np.ndarray,
) -> None:
    """grad_weight = sum of g (x - mean) rstd and grad_bias = sum of g, for each channel."""
    for c in range(x.shape[1]):
        m, along, total = mean[c], 0.0, 0.0
        for i in range(x.shape[0]):
            row_along, row_total = x.dtype.type(0), x.dtype.type(0)
            for j in range(x.shape[2]):
                row_along += g[i, c, j] * (x[i, c, j] - m)
                row_total += g[i, c, j]
            along += row_along
            total += row_total
        grad_weight[c], grad_bias[c] = along * rstd[c], total


@compiled
def _channel_norm_backward(
    g: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    along: np.ndarray,
    total: np.ndarray,
    grad_x: np.ndarray,
) -> None:
    """grad_x = (g - (x - mean) along - total) scale, for each channel."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            m, s, a, t = mean[c], scale[c], along[c], total[c]
            for j in range(x.shape[2]):
                grad_x[i, c, j] = (g[i, c, j] - (x[i, c, j] - m) * a - t) * s


def _ones_if_none(weight: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    """The weight; for None n ones of the dtype of `like`, which change nothing."""
    return np.ones(n, like.dtype) if weight is None else np.ascontiguousarray(weight)


def _zeros_if_none(bias: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    """The bias; for None n zeros of the dtype of `like`, which change nothing."""
    return np.zeros(n, like.dtype) if bias is None else np.ascontiguousarray(bias)


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, ...]:
    """Normalize each row of x; returns the output (rows, n), mean and rstd, (rows, 1)."""
    rows, n = x.shape
    out, mean, rstd = (np.empty((rows, width), x.dtype) for width in (n, 1, 1))
    weight, bias = _ones_if_none(weight, x, n), _zeros_if_none(bias, x, n)
    _layer_norm(np.ascontiguousarray(x), weight, bias, eps, out, mean, rstd)
    return out, mean, rstd


def layer_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The gradients of x, weight and bias."""
    n = x.shape[1]
    grad_x, grad_weight, grad_bias = np.empty(x.shape, x.dtype), *np.zeros((2, n), x.dtype)
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    _layer_norm_backward(
        g, x, _ones_if_none(weight, x, n), mean, rstd, grad_x, grad_weight, grad_bias
    )
    return grad_x, grad_weight, grad_bias


_SHORT = 8  # for a smaller `inner` the sums of the reference, over rows of memory, are faster


def channel_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the biased variance, (channels,), of each channel of x."""
    if x.shape[2] < _SHORT:
        return reference.channel_statistics(x)
    mean, var = np.empty((2, x.shape[1]), x.dtype)
    _channel_statistics(np.ascontiguousarray(x), mean, var)
    return mean, var


def channel_norm(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    bias: np.ndarray | None, eps: float,
) -> np.ndarray:  # fmt: skip
    """(x - mean) / sqrt(var + eps) weight + bias, for each channel."""
    if x.shape[2] < _SHORT:
        return reference.channel_norm(x, mean, var, weight, bias, eps)
    scale = _ones_if_none(weight, x, len(mean)) / np.sqrt(var + eps)
    out = np.empty(x.shape, x.dtype)
    x, mean = np.ascontiguousarray(x), np.ascontiguousarray(mean)
    _channel_norm(x, mean, scale, _zeros_if_none(bias, x, len(mean)), out)
    return out


def channel_norm_backward(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    eps: float, from_batch: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The gradients of x, weight and bias; through mean and var, too, if `from_batch`."""
    if x.shape[2] < _SHORT:
        return reference.channel_norm_backward(g, x, mean, var, weight, eps, from_batch)
    g, x, mean = (np.ascontiguousarray(a) for a in (g, x, mean))
    rstd = 1 / np.sqrt(var + eps)
    grad_weight, grad_bias = np.empty((2, len(mean)), x.dtype)
    _channel_sums(g, x, mean, rstd, grad_weight, grad_bias)
    scale = rstd if weight is None else rstd * weight
    share = x.dtype.type(from_batch / max(x.shape[0] * x.shape[2], 1))
    grad_x = np.empty(x.shape, x.dtype)
    along, total = grad_weight * rstd * share, grad_bias * share
    _channel_norm_backward(g, x, mean, scale, along, total, grad_x)
    return grad_x, grad_weight, grad_bias
