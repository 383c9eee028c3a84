"""Normalization of channels, x: (n, channels, inner): batch normalization.

Two passes over x forward, two backward. The statistics add rows of `inner` elements in the dtype of
x, and the sums of the rows in float64. The loops write into their last arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


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
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, rstd: np.ndarray, grad_weight: np.ndarray,
    grad_bias: np.ndarray,
) -> None:  # fmt: skip
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
def _channel_grad(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, along: np.ndarray, total: np.ndarray,
    scale: np.ndarray, grad_x: np.ndarray,
) -> None:  # fmt: skip
    """grad_x = (g - (x - mean) along - total) scale, for each channel."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            m, a, t, s = mean[c], along[c], total[c], scale[c]
            for j in range(x.shape[2]):
                grad_x[i, c, j] = (g[i, c, j] - (x[i, c, j] - m) * a - t) * s


# Where `inner` is 1, x: (n, channels). The loops over channels are the inner ones, so that they
# are vector code; over one element they would not be.


@compiled
def _column_statistics(x: np.ndarray, mean: np.ndarray, var: np.ndarray) -> None:
    """The mean and the biased variance, (channels,), of each column of x."""
    n, channels = x.shape
    total = np.zeros(channels)
    for i in range(n):
        for c in range(channels):
            total[c] += x[i, c]
    for c in range(channels):
        mean[c] = total[c] / n
        total[c] = 0.0
    for i in range(n):
        for c in range(channels):
            total[c] += (x[i, c] - mean[c]) * (x[i, c] - mean[c])
    for c in range(channels):
        var[c] = total[c] / n


@compiled
def _column_norm(
    x: np.ndarray, mean: np.ndarray, scale: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    """out = (x - mean) scale + bias, for each column."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[i, c] = (x[i, c] - mean[c]) * scale[c] + bias[c]


@compiled
def _column_sums(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, rstd: np.ndarray, grad_weight: np.ndarray,
    grad_bias: np.ndarray,
) -> None:  # fmt: skip
    """grad_weight = sum of g (x - mean) rstd and grad_bias = sum of g, for each column."""
    n, channels = x.shape
    along, total = np.zeros(channels), np.zeros(channels)
    for i in range(n):
        for c in range(channels):
            along[c] += g[i, c] * (x[i, c] - mean[c])
            total[c] += g[i, c]
    for c in range(channels):
        grad_weight[c], grad_bias[c] = along[c] * rstd[c], total[c]


@compiled
def _column_grad(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, along: np.ndarray, total: np.ndarray,
    scale: np.ndarray, grad_x: np.ndarray,
) -> None:  # fmt: skip
    """grad_x = (g - (x - mean) along - total) scale, for each column."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            grad_x[i, c] = (g[i, c] - (x[i, c] - mean[c]) * along[c] - total[c]) * scale[c]


@compiled(fastmath=False)  # the bits of the reference
def _update_running(
    mean: np.ndarray, var: np.ndarray, keep: Any, momentum: Any, correction: Any,
    running_mean: np.ndarray, running_var: np.ndarray,
) -> None:  # fmt: skip
    """running = keep running + momentum new, in place, for mean and var correction."""
    for c in range(mean.size):
        running_mean[c] = running_mean[c] * keep + mean[c] * momentum
        running_var[c] = running_var[c] * keep + var[c] * correction * momentum


def ones_if_none(weight: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    """The weight; for None n ones of the dtype of `like`, which change nothing."""
    return np.ones(n, like.dtype) if weight is None else np.ascontiguousarray(weight)


def zeros_if_none(bias: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    """The bias; for None n zeros of the dtype of `like`, which change nothing."""
    return np.zeros(n, like.dtype) if bias is None else np.ascontiguousarray(bias)


def _contiguous(x: np.ndarray) -> np.ndarray:
    """x in C order; (n, channels) where `inner` is 1."""
    x = np.ascontiguousarray(x)
    return x.reshape(x.shape[:2]) if x.shape[2] == 1 else x


def channel_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the biased variance, (channels,), of each channel of x."""
    x = _contiguous(x)
    mean, var = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    (_column_statistics if x.ndim == 2 else _channel_statistics)(x, mean, var)
    return mean, var


def update_running(
    running_mean: np.ndarray, running_var: np.ndarray, mean: np.ndarray, var: np.ndarray,
    momentum: float, correction: float, batches: np.ndarray | None,
) -> None:  # fmt: skip
    """running = (1 - momentum) running + momentum new, in place, for mean and var correction."""
    number = running_mean.dtype.type
    factors = number(1 - momentum), number(momentum), number(correction)
    _update_running(mean, var, *factors, running_mean, running_var)
    if batches is not None:
        batches += 1


def channel_norm(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    bias: np.ndarray | None, eps: float,
) -> np.ndarray:  # fmt: skip
    """(x - mean) / sqrt(var + eps) weight + bias, for each channel."""
    shape, x, number = x.shape, _contiguous(x), x.dtype.type
    out = np.empty(x.shape, x.dtype)
    mean, bias = np.ascontiguousarray(mean), zeros_if_none(bias, x, len(mean))
    scale = (number(1) if weight is None else weight) / np.sqrt(var + number(eps))
    (_column_norm if x.ndim == 2 else _channel_norm)(x, mean, scale, bias, out)
    return out.reshape(shape)


def channel_norm_backward(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    eps: float, from_batch: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The gradients of x, weight and bias; through mean and var, too, if `from_batch`."""
    shape, g, x, number = x.shape, _contiguous(g), _contiguous(x), x.dtype.type
    grad_weight, grad_bias = np.empty((2, len(mean)), x.dtype)
    mean, rstd = np.ascontiguousarray(mean), number(1) / np.sqrt(var + number(eps))
    scale = rstd if weight is None else rstd * weight
    by_column = x.ndim == 2
    (_column_sums if by_column else _channel_sums)(g, x, mean, rstd, grad_weight, grad_bias)
    if from_batch:
        share, grad_x = number(1 / max(x.size // max(len(mean), 1), 1)), np.empty(x.shape, x.dtype)
        factors = grad_weight * rstd * share, grad_bias * share, scale
        (_column_grad if by_column else _channel_grad)(g, x, mean, *factors, grad_x)
    else:  # NaN in x does not reach its gradient
        grad_x = g * (scale if by_column else scale[:, None])
    return grad_x.reshape(shape), grad_weight, grad_bias
