"""Normalization of rows, x: (rows, n), and of groups of channels, x: (n, channels, inner).

Two passes over x forward, two backward. The loops write into their last arguments.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.channel_norm import (
    channel_norm as channel_norm,
    channel_norm_backward as channel_norm_backward,
    channel_statistics as channel_statistics,
    ones_if_none,
    update_running as update_running,
    zeros_if_none,
)
from dtrain.backend.kernels.cpu.compiler import compiled


@compiled(wide=True)
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


@compiled(wide=True)
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


@compiled(wide=True)
def _rms_norm(
    x: np.ndarray, weight: np.ndarray, eps: float, out: np.ndarray, scale: np.ndarray
) -> None:
    """out = x scale weight, with scale = 1 / sqrt(mean(x^2) + eps), (rows, 1), of each row of x."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        squares = x.dtype.type(0)
        for j in range(n):
            squares += x[i, j] * x[i, j]
        r = x.dtype.type(1) / x.dtype.type(math.sqrt(squares / n + eps))
        for j in range(n):
            out[i, j] = x[i, j] * r * weight[j]
        scale[i, 0] = r


@compiled(wide=True)
def _rms_norm_backward(
    g: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    scale: np.ndarray,
    grad_x: np.ndarray,
    grad_weight: np.ndarray,
) -> None:
    """The gradients of x and weight; the rows of g add to that of weight."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        r, along = scale[i, 0], x.dtype.type(0)
        for j in range(n):
            along += g[i, j] * weight[j] * (x[i, j] * r)
        a = x.dtype.type(along / n)
        for j in range(n):
            scaled = x[i, j] * r
            grad_x[i, j] = (g[i, j] * weight[j] - scaled * a) * r
            grad_weight[j] += g[i, j] * scaled


@compiled(wide=True)
def _group_norm(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    groups: int,
    eps: float,
    out: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
) -> None:
    """out = (x - mean) rstd weight + bias, with the mean and rstd of each group of channels."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    _, channels, inner = x.shape
    per_group = channels // groups
    n = per_group * inner
    rows = x.reshape(mean.shape[0], n)  # of groups; lines: of channels
    lines, target = x.reshape(-1, inner), out.reshape(-1, inner)
    for i in range(mean.shape[0]):
        total, squares = zero, zero
        for j in range(n):
            total += rows[i, j]
        m = x.dtype.type(total / n)
        for j in range(n):
            squares += (rows[i, j] - m) * (rows[i, j] - m)
        r = one / x.dtype.type(math.sqrt(squares / n + eps))
        for line in range(i * per_group, (i + 1) * per_group):
            scale, b = r * weight[line % channels], bias[line % channels]
            for j in range(inner):
                target[line, j] = (lines[line, j] - m) * scale + b
        mean[i, 0], rstd[i, 0] = m, r


@compiled(wide=True)
def _group_norm_backward(
    g: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    groups: int,
    grad_x: np.ndarray,
    grad_weight: np.ndarray,
    grad_bias: np.ndarray,
) -> None:
    """The gradients of x, weight and bias; the samples add to those of weight and bias."""
    zero = x.dtype.type(0)
    _, channels, inner = x.shape
    per_group = channels // groups
    n = per_group * inner
    lines, g_lines = x.reshape(-1, inner), g.reshape(-1, inner)
    target = grad_x.reshape(-1, inner)
    for i in range(mean.shape[0]):
        m, r, total, along = mean[i, 0], rstd[i, 0], zero, zero
        first, end = i * per_group, (i + 1) * per_group
        for line in range(first, end):
            channel_total, channel_along = zero, zero
            for j in range(inner):
                channel_total += g_lines[line, j]
                channel_along += g_lines[line, j] * (lines[line, j] - m)
            channel = line % channels
            grad_bias[channel] += channel_total
            grad_weight[channel] += channel_along * r
            total += weight[channel] * channel_total
            along += weight[channel] * channel_along * r
        a, b = x.dtype.type(total / n), x.dtype.type(along / n) * r
        for line in range(first, end):
            w = weight[line % channels]
            for j in range(inner):
                target[line, j] = (g_lines[line, j] * w - a - (lines[line, j] - m) * b) * r


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, ...]:
    """Normalize each row of x; returns the output (rows, n), mean and rstd, (rows, 1)."""
    (rows, n), dtype = x.shape, x.dtype
    out, mean, rstd = (
        np.empty((rows, n), dtype),
        np.empty((rows, 1), dtype),
        np.empty((rows, 1), dtype),
    )
    weight, bias = ones_if_none(weight, x, n), zeros_if_none(bias, x, n)
    _layer_norm(np.ascontiguousarray(x), weight, bias, eps, out, mean, rstd)
    return out, mean, rstd


def layer_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The gradients of x, weight and bias."""
    n, dtype = x.shape[1], x.dtype
    grad_x, grad_weight, grad_bias = (
        np.empty(x.shape, dtype),
        np.zeros(n, dtype),
        np.zeros(n, dtype),
    )
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    _layer_norm_backward(
        g, x, ones_if_none(weight, x, n), mean, rstd, grad_x, grad_weight, grad_bias
    )
    return grad_x, grad_weight, grad_bias


def rms_norm(x: np.ndarray, weight: np.ndarray | None, eps: float) -> tuple[np.ndarray, ...]:
    """x scale weight for each row; returns the output (rows, n) and scale, (rows, 1)."""
    rows, n = x.shape
    out, scale = np.empty((rows, n), x.dtype), np.empty((rows, 1), x.dtype)
    _rms_norm(np.ascontiguousarray(x), ones_if_none(weight, x, n), eps, out, scale)
    return out, scale


def rms_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, scale: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The gradients of x and weight."""
    n = x.shape[1]
    grad_x, grad_weight = np.empty(x.shape, x.dtype), np.zeros(n, x.dtype)
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    _rms_norm_backward(g, x, ones_if_none(weight, x, n), scale, grad_x, grad_weight)
    return grad_x, grad_weight


def group_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, groups: int, eps: float
) -> tuple[np.ndarray, ...]:
    """Normalize each group of channels; returns the output, mean and rstd, (n * groups, 1)."""
    n, channels, _ = x.shape
    out, (mean, rstd) = np.empty(x.shape, x.dtype), np.empty((2, n * groups, 1), x.dtype)
    weight, bias = ones_if_none(weight, x, channels), zeros_if_none(bias, x, channels)
    _group_norm(np.ascontiguousarray(x), weight, bias, groups, eps, out, mean, rstd)
    return out, mean, rstd


def group_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray,
    groups: int,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The gradients of x, weight and bias."""
    channels = x.shape[1]
    grad_x, grad_weight, grad_bias = np.empty(x.shape, x.dtype), *np.zeros((2, channels), x.dtype)
    g, x, weight = *map(np.ascontiguousarray, (g, x)), ones_if_none(weight, x, channels)
    _group_norm_backward(g, x, weight, mean, rstd, groups, grad_x, grad_weight, grad_bias)
    return grad_x, grad_weight, grad_bias
