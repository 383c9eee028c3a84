"""Softmax, its logarithm and the cross-entropy of it, row by row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.exponential import exp


@compiled
def _softmax(x, top, out):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        total = zero
        for j in range(x.shape[1]):
            power = exp(x[i, j] - top[i])
            out[i, j] = power
            total += power
        scale = one / total
        for j in range(x.shape[1]):
            out[i, j] *= scale


@compiled
def _softmax_backward(g, out, grad):
    for i in range(g.shape[0]):
        along = g.dtype.type(0)
        for j in range(g.shape[1]):
            along += g[i, j] * out[i, j]
        for j in range(g.shape[1]):
            grad[i, j] = (g[i, j] - along) * out[i, j]


@compiled
def _log_sum(x, top, out):
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += exp(x[i, j] - top[i])
        out[i] = math.log(total)


@compiled
def _log_softmax_backward(g, out, grad):
    for i in range(g.shape[0]):
        total = g.dtype.type(0)
        for j in range(g.shape[1]):
            total += g[i, j]
        for j in range(g.shape[1]):
            grad[i, j] = g[i, j] - exp(out[i, j]) * total


@compiled
def _cross_entropy_backward(g, x, target, top, log_sum, grad):
    for i in range(x.shape[0]):
        scale = exp(-log_sum[i])
        for j in range(x.shape[1]):
            grad[i, j] = exp(x[i, j] - top[i]) * scale * g[i]
        k = target[i]
        grad[i, k] = (exp(x[i, k] - top[i]) * scale - g.dtype.type(1)) * g[i]


def _by_rows(kernel: Any, *arrays: np.ndarray, axis: int) -> np.ndarray:
    """Apply a kernel of rows, which fills its last argument, along an axis."""
    shape = arrays[0].shape
    axis = axis if shape else 0
    last = [np.ascontiguousarray(np.moveaxis(np.atleast_1d(a), axis, -1)) for a in arrays]
    out = np.empty_like(last[0])
    *lead, n = out.shape
    kernel(*(a.reshape(math.prod(lead), n) for a in (*last, out)))
    return np.moveaxis(out, -1, axis).reshape(shape)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    return _by_rows(lambda rows, out: _softmax(rows, rows.max(1), out), x, axis=axis)


def softmax_backward(g: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    return _by_rows(_softmax_backward, g, out, axis=axis)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    def rows_of(x, out):
        top, log_sum = x.max(1), np.empty(len(x), x.dtype)
        _log_sum(x, top, log_sum)
        np.subtract(x, top[:, None], out=out)
        out -= log_sum[:, None]

    return _by_rows(rows_of, x, axis=axis)


def log_softmax_backward(g: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    return _by_rows(_log_softmax_backward, g, out, axis=axis)


def cross_entropy(x: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, ...]:
    x = np.ascontiguousarray(x)
    top, log_sum = x.max(1), np.empty(len(x), x.dtype)
    _log_sum(x, top, log_sum)
    return log_sum - (x[np.arange(len(x)), target] - top), top, log_sum


def cross_entropy_backward(
    g: np.ndarray, x: np.ndarray, target: np.ndarray, top: np.ndarray, log_sum: np.ndarray
) -> np.ndarray:
    grad = np.empty(x.shape, x.dtype)
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    _cross_entropy_backward(g, x, np.ascontiguousarray(target), top, log_sum, grad)
    return grad
