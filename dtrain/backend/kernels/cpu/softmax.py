"""Softmax, its logarithm and the cross-entropy of it, row by row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp


def _order(x):
    raise NotImplementedError("for compiled functions")


@overload(_order, inline="always")
def _order_of_dtype(x):
    """The bits of a number as an integer that is larger for a larger one; largest for NaN.

    The maximum of integers is vector code, and that of numbers, among which may be NaN, is not.
    """
    if x == types.float32:
        return lambda x: _order_float32(x)
    return lambda x: _order_float64(x)


@inlined
def _order_float32(x):
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ np.int32((bits >> 31) & 0x7FFFFFFF))


@inlined
def _order_float64(x):
    bits = np.float64(x).view(np.int64)
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)


def _of_order(n):
    raise NotImplementedError("for compiled functions")


@overload(_of_order, inline="always")
def _of_order_of_dtype(n):
    """The number of an `_order`, which is its own inverse."""
    if n == types.int32:
        return lambda n: np.int32(n ^ np.int32((n >> 31) & 0x7FFFFFFF)).view(np.float32)
    return lambda n: np.int64(n ^ ((n >> 63) & 0x7FFFFFFFFFFFFFFF)).view(np.float64)


@compiled
def _row_max(x, i):
    largest = _order(x[i, 0])
    for j in range(x.shape[1]):
        largest = max(largest, _order(x[i, j]))
    return _of_order(largest)


@inlined
def _twice_less(x, y, z):
    """(x - y) - z, in this order: y + z may be much less exact."""
    return (x - y) - z


@compiled
def _softmax(x, out):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        top = _row_max(x, i)
        total = zero
        for j in range(x.shape[1]):
            power = exp(x[i, j] - top)
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
def _log_sum(x, i, top):
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += exp(x[i, j] - top)
    return x.dtype.type(math.log(total))


@compiled
def _log_softmax(x, out):
    for i in range(x.shape[0]):
        top = _row_max(x, i)
        log_sum = _log_sum(x, i, top)
        for j in range(x.shape[1]):
            out[i, j] = _twice_less(x[i, j], top, log_sum)


@compiled
def _cross_entropy(x, target, losses, tops, log_sums):
    for i in range(x.shape[0]):
        top = _row_max(x, i)
        log_sum = _log_sum(x, i, top)
        losses[i] = log_sum - (x[i, target[i]] - top)
        tops[i], log_sums[i] = top, log_sum


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
        largest, scale, k = top[i], exp(-log_sum[i]), target[i]
        factor = scale * g[i]
        for j in range(x.shape[1]):
            grad[i, j] = exp(x[i, j] - largest) * factor
        grad[i, k] = (exp(x[i, k] - largest) * scale - g.dtype.type(1)) * g[i]


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
    return _by_rows(_softmax, x, axis=axis)


def softmax_backward(g: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    return _by_rows(_softmax_backward, g, out, axis=axis)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    return _by_rows(_log_softmax, x, axis=axis)


def log_softmax_backward(g: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    return _by_rows(_log_softmax_backward, g, out, axis=axis)


def cross_entropy(x: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, ...]:
    losses, top, log_sum = (np.empty(len(x), x.dtype) for _ in range(3))
    x, target = np.ascontiguousarray(x), np.ascontiguousarray(target)
    _cross_entropy(x, target, losses, top, log_sum)
    return losses, top, log_sum


def cross_entropy_backward(
    g: np.ndarray, x: np.ndarray, target: np.ndarray, top: np.ndarray, log_sum: np.ndarray
) -> np.ndarray:
    grad = np.empty(x.shape, x.dtype)
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    _cross_entropy_backward(g, x, np.ascontiguousarray(target), top, log_sum, grad)
    return grad
