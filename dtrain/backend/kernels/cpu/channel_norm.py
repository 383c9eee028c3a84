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
    g: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    grad_weight: np.ndarray,
    grad_bias: np.ndarray,
) -> None:
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
def _column_norm_backward(
    g: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    along: np.ndarray,
    total: np.ndarray,
    grad_x: np.ndarray,
) -> None:
    """grad_x = (g - (x - mean) along - total) scale, for each column."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            grad_x[i, c] = (g[i, c] - (x[i, c] - mean[c]) * along[c] - total[c]) * scale[c]


def _run_by_channel(columns: Any, channels: Any, *arrays: np.ndarray) -> None:
    """Call `channels(*arrays)`; where `inner` is 1, `columns` with (n, channels) in place of arrays
    of three axes."""
    if all(a.shape[2] == 1 for a in arrays if a.ndim == 3):
        columns(*(a[:, :, 0] if a.ndim == 3 else a for a in arrays))
    else:
        channels(*arrays)


def ones_if_none(weight: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    """The weight; for None n ones of the dtype of `like`, which change nothing."""
    return np.ones(n, like.dtype) if weight is None else np.ascontiguousarray(weight)


def zeros_if_none(bias: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    """The bias; for None n zeros of the dtype of `like`, which change nothing."""
    return np.zeros(n, like.dtype) if bias is None else np.ascontiguousarray(bias)


def channel_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the biased variance, (channels,), of each channel of x."""
    mean, var = np.empty((2, x.shape[1]), x.dtype)
    x = np.ascontiguousarray(x)
    _run_by_channel(_column_statistics, _channel_statistics, x, mean, var)
    return mean, var


def channel_norm(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    bias: np.ndarray | None, eps: float,
) -> np.ndarray:  # fmt: skip
    """(x - mean) / sqrt(var + eps) weight + bias, for each channel."""
    scale = ones_if_none(weight, x, len(mean)) / np.sqrt(var + eps)
    out = np.empty(x.shape, x.dtype)
    x, mean = np.ascontiguousarray(x), np.ascontiguousarray(mean)
    bias = zeros_if_none(bias, x, len(mean))
    _run_by_channel(_column_norm, _channel_norm, x, mean, scale, bias, out)
    return out


def channel_norm_backward(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    eps: float, from_batch: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The gradients of x, weight and bias; through mean and var, too, if `from_batch`."""
    g, x, mean = (np.ascontiguousarray(a) for a in (g, x, mean))
    rstd = 1 / np.sqrt(var + eps)
    grad_weight, grad_bias = np.empty((2, len(mean)), x.dtype)
    _run_by_channel(_column_sums, _channel_sums, g, x, mean, rstd, grad_weight, grad_bias)
    scale = rstd if weight is None else rstd * weight
    grad_x = np.empty(x.shape, x.dtype)
    if not from_batch:  # NaN in x does not reach its gradient
        zeros = np.zeros_like(scale)
        _run_by_channel(_column_norm, _channel_norm, g, zeros, scale, zeros, grad_x)
        return grad_x, grad_weight, grad_bias
    share = x.dtype.type(1 / max(x.shape[0] * x.shape[2], 1))
    along, total = grad_weight * rstd * share, grad_bias * share
    _run_by_channel(
        _column_norm_backward, _channel_norm_backward, g, x, mean, scale, along, total, grad_x
    )
    return grad_x, grad_weight, grad_bias
