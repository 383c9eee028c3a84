"""Normalization of rows and of channels: two passes forward, two backward.

A row is summed in its dtype, rows are added in float64.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.reference import norm as reference


@compiled
def _layer_norm(x, weight, bias, eps, out, mean, rstd):
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
def _layer_norm_backward(g, x, weight, mean, rstd, of_x, of_weight, of_bias):
    zero = x.dtype.type(0)
    n = x.shape[1]
    for i in range(x.shape[0]):
        m, r = mean[i, 0], rstd[i, 0]
        total, along = zero, zero
        for j in range(n):
            normal, of_normal = (x[i, j] - m) * r, g[i, j] * weight[j]
            total += of_normal
            along += of_normal * normal
        a, b = x.dtype.type(total / n), x.dtype.type(along / n)
        for j in range(n):
            normal = (x[i, j] - m) * r
            of_x[i, j] = (g[i, j] * weight[j] - a - normal * b) * r
            of_weight[j] += g[i, j] * normal
            of_bias[j] += g[i, j]


@compiled
def _channel_statistics(x, mean, var):
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
def _channel_norm(x, mean, scale, bias, out):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            m, s, b = mean[c], scale[c], bias[c]
            for j in range(x.shape[2]):
                out[i, c, j] = (x[i, c, j] - m) * s + b


@compiled
def _channel_sums(g, x, mean, rstd, of_weight, of_bias):
    for c in range(x.shape[1]):
        m, along, total = mean[c], 0.0, 0.0
        for i in range(x.shape[0]):
            row_along, row_total = x.dtype.type(0), x.dtype.type(0)
            for j in range(x.shape[2]):
                row_along += g[i, c, j] * (x[i, c, j] - m)
                row_total += g[i, c, j]
            along += row_along
            total += row_total
        of_weight[c], of_bias[c] = along * rstd[c], total


@compiled
def _channel_norm_backward(g, x, mean, scale, along, total, of_x):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            m, s, a, t = mean[c], scale[c], along[c], total[c]
            for j in range(x.shape[2]):
                of_x[i, c, j] = (g[i, c, j] - (x[i, c, j] - m) * a - t) * s


def _of_ones(weight: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    return np.ones(n, like.dtype) if weight is None else np.ascontiguousarray(weight)


def _of_zeros(bias: np.ndarray | None, like: np.ndarray, n: int) -> np.ndarray:
    return np.zeros(n, like.dtype) if bias is None else np.ascontiguousarray(bias)


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, ...]:
    rows, n = x.shape
    out, mean, rstd = (np.empty((rows, width), x.dtype) for width in (n, 1, 1))
    weight, bias = _of_ones(weight, x, n), _of_zeros(bias, x, n)
    _layer_norm(np.ascontiguousarray(x), weight, bias, eps, out, mean, rstd)
    return out, mean, rstd


def layer_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, ...]:
    n = x.shape[1]
    of_x, of_weight, of_bias = np.empty(x.shape, x.dtype), *np.zeros((2, n), x.dtype)
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    _layer_norm_backward(g, x, _of_ones(weight, x, n), mean, rstd, of_x, of_weight, of_bias)
    return of_x, of_weight, of_bias


_SHORT = 8  # elements of a channel in a row of memory: below, NumPy's sums over rows are faster


def channel_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape[2] < _SHORT:
        return reference.channel_statistics(x)
    mean, var = np.empty((2, x.shape[1]), x.dtype)
    _channel_statistics(np.ascontiguousarray(x), mean, var)
    return mean, var


def channel_norm(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    bias: np.ndarray | None, eps: float,
) -> np.ndarray:  # fmt: skip
    if x.shape[2] < _SHORT:
        return reference.channel_norm(x, mean, var, weight, bias, eps)
    scale = _of_ones(weight, x, len(mean)) / np.sqrt(var + eps)
    out = np.empty(x.shape, x.dtype)
    x, mean = np.ascontiguousarray(x), np.ascontiguousarray(mean)
    _channel_norm(x, mean, scale, _of_zeros(bias, x, len(mean)), out)
    return out


def channel_norm_backward(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: np.ndarray | None,
    eps: float, of_batch: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    if x.shape[2] < _SHORT:
        return reference.channel_norm_backward(g, x, mean, var, weight, eps, of_batch)
    g, x, mean = (np.ascontiguousarray(a) for a in (g, x, mean))
    rstd = 1 / np.sqrt(var + eps)
    of_weight, of_bias = np.empty((2, len(mean)), x.dtype)
    _channel_sums(g, x, mean, rstd, of_weight, of_bias)
    scale = rstd if weight is None else rstd * weight
    share = x.dtype.type(of_batch / max(x.shape[0] * x.shape[2], 1))
    of_x = np.empty(x.shape, x.dtype)
    along, total = of_weight * rstd * share, of_bias * share
    _channel_norm_backward(g, x, mean, scale, along, total, of_x)
    return of_x, of_weight, of_bias
