"""Softmax, log-softmax and their cross-entropy, along the rows of x: (rows, n).

The loops write into their last arguments, in the dtype of x, float32 or float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.bits import from_ordered_int, to_ordered_int
from dtrain.backend.kernels.cpu.compiler import VECTOR_SUMS, compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp
from dtrain.backend.kernels.reference.softmax import refuse_target


@inlined(fastmath=VECTOR_SUMS, wide=True)
def row_max(x: np.ndarray, i: int, n: int) -> Any:
    """The maximum of the first n elements of row i; NaN if there is one."""
    largest = to_ordered_int(x[i, 0])
    for j in range(n):
        number = to_ordered_int(x[i, j])
        largest = number if number > largest else largest
    return from_ordered_int(largest)


@inlined
def _subtract_in_order(x: Any, y: Any, z: Any) -> Any:
    """(x - y) - z in this order; fast math would compute x - (y + z), which rounds more."""
    return (x - y) - z


@compiled(wide=True)
def _softmax(x: np.ndarray, out: np.ndarray) -> None:
    """out = exp(x - max) / sum(exp(x - max)), of each row."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        top = row_max(x, i, x.shape[1])
        total = zero
        for j in range(x.shape[1]):
            power = exp(x[i, j] - top)
            out[i, j] = power
            total += power
        scale = one / total
        for j in range(x.shape[1]):
            out[i, j] *= scale


@compiled(wide=True)
def _softmax_backward(g: np.ndarray, out: np.ndarray, grad: np.ndarray) -> None:
    """grad = (g - sum(g out)) out, of each row; out: of _softmax."""
    for i in range(g.shape[0]):
        along = g.dtype.type(0)
        for j in range(g.shape[1]):
            along += g[i, j] * out[i, j]
        for j in range(g.shape[1]):
            grad[i, j] = (g[i, j] - along) * out[i, j]


@inlined(fastmath=VECTOR_SUMS, wide=True)
def _log_sum(x: np.ndarray, i: int, top: np.floating[Any]) -> np.floating[Any]:
    """log(sum(exp(x - top))) of row i."""
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += exp(x[i, j] - top)
    return x.dtype.type(math.log(total))


@compiled(wide=True)
def _log_softmax(x: np.ndarray, out: np.ndarray) -> None:
    """out = x - max - log(sum(exp(x - max))), of each row."""
    for i in range(x.shape[0]):
        top = row_max(x, i, x.shape[1])
        log_sum = _log_sum(x, i, top)
        for j in range(x.shape[1]):
            out[i, j] = _subtract_in_order(x[i, j], top, log_sum)


@compiled(wide=True)
def _cross_entropy(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray | None, ignored: int, rows: np.ndarray,
    sums: np.ndarray,
) -> int:  # fmt: skip
    """rows: (4, rows of x), losses, scales, row maxima and `_log_sum`; losses = -scales
    log_softmax(x) at target; scales: the weight of target, 1 without weights, 0 of the target
    `ignored`. sums: of losses, of scales.

    Returns the first row with a target out of range, or -1.
    """
    zero, one = x.dtype.type(0), x.dtype.type(1)
    total, total_scale = 0.0, 0.0
    for i in range(x.shape[0]):
        k = target[i]
        kept = k != ignored
        if kept and (k < 0 or k >= x.shape[1]):
            return i
        k = k if kept else 0
        top = row_max(x, i, x.shape[1])
        log_sum = _log_sum(x, i, top)
        scale = one if kept else zero
        if weight is not None:
            scale = weight[k] if kept else zero
        loss = (log_sum - (x[i, k] - top)) * scale if kept else zero
        rows[0, i], rows[1, i], rows[2, i], rows[3, i] = loss, scale, top, log_sum
        total += loss
        total_scale += scale
    sums[0], sums[1] = total, total_scale
    return -1


@compiled(wide=True)
def _log_softmax_backward(g: np.ndarray, out: np.ndarray, grad: np.ndarray) -> None:
    """grad = g - exp(out) sum(g), of each row; out: of _log_softmax."""
    for i in range(g.shape[0]):
        total = g.dtype.type(0)
        for j in range(g.shape[1]):
            total += g[i, j]
        for j in range(g.shape[1]):
            grad[i, j] = g[i, j] - exp(out[i, j]) * total


@compiled(wide=True)
def _cross_entropy_backward(
    g: np.ndarray,
    x: np.ndarray,
    target: np.ndarray,
    ignored: int,
    scales: np.ndarray,
    total: Any,
    top: np.ndarray,
    log_sum: np.ndarray,
    grad: np.ndarray,
) -> None:
    """grad = (softmax(x) - one_hot(target)) h, h = g / total * scales, of each row; g: (rows,), or
    (1,) for all of them."""
    zero, one = g.dtype.type(0), g.dtype.type(1)
    for i in range(x.shape[0]):
        largest, scale, k = top[i], exp(-log_sum[i]), target[i]
        kept = k != ignored
        h = g[i if g.size > 1 else 0] / total * scales[i] if kept else zero
        factor = scale * h
        for j in range(x.shape[1]):
            grad[i, j] = exp(x[i, j] - largest) * factor
        if kept:
            grad[i, k] = (exp(x[i, k] - largest) * scale - one) * h


def _apply_to_rows(kernel: Any, *arrays: np.ndarray, axis: int) -> np.ndarray:
    """Run a loop over rows, which writes its last argument, along any axis of the arrays."""
    shape = arrays[0].shape
    if len(shape) == 2 and axis in (-1, 1) and arrays[0].size:
        out = np.empty(shape, arrays[0].dtype)
        kernel(*map(np.ascontiguousarray, arrays), out)
        return out
    moves = bool(shape) and axis not in (-1, len(shape) - 1)
    rows = [np.moveaxis(a, axis, -1) for a in arrays] if moves else list(arrays)
    out = np.empty(rows[0].shape, rows[0].dtype)
    if out.size:
        n = out.shape[-1] if shape else 1
        kernel(*(np.ascontiguousarray(a).reshape(-1, n) for a in rows), out.reshape(-1, n))
    return np.moveaxis(out, -1, axis) if moves else out


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """softmax along an axis."""
    return _apply_to_rows(_softmax, x, axis=axis)


def softmax_backward(g: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    """The gradient of x, from that of out = softmax(x)."""
    return _apply_to_rows(_softmax_backward, g, out, axis=axis)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """log(softmax(x)) along an axis."""
    return _apply_to_rows(_log_softmax, x, axis=axis)


def log_softmax_backward(g: np.ndarray, out: np.ndarray, axis: int) -> np.ndarray:
    """The gradient of x, from that of out = log_softmax(x)."""
    return _apply_to_rows(_log_softmax_backward, g, out, axis=axis)


#: A class that no target has.
_NONE = -(1 << 63)


def cross_entropy(x: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, ...]:
    """-log softmax(x) at the target class, and what the gradient needs; all (rows,)."""
    losses, _, top, log_sum, _ = _losses(x, target, None, _NONE)
    return losses, top, log_sum


def cross_entropy_backward(
    g: np.ndarray, x: np.ndarray, target: np.ndarray, top: np.ndarray, log_sum: np.ndarray
) -> np.ndarray:
    """The gradient of x: (softmax(x) - one_hot(target)) g; g: (rows,)."""
    scales = np.ones(len(x), x.dtype)
    return mean_cross_entropy_backward(g, x, target, scales, None, top, log_sum, _NONE)


def mean_cross_entropy(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray | None, ignore_index: int, reduction: str
) -> tuple[Any, ...]:
    """The loss of classes with weights, and what the gradient needs."""
    losses, scales, top, log_sum, sums = _losses(x, target, weight, ignore_index)
    if reduction == "none":
        return losses, scales, None, top, log_sum
    total = sums[1:].reshape(()) if reduction == "mean" else np.ones((), x.dtype)
    return np.asarray(sums[0] / total), scales, total, top, log_sum


def mean_cross_entropy_backward(
    g: np.ndarray, x: np.ndarray, target: np.ndarray, scale: np.ndarray, total: Any,
    top: np.ndarray, log_sum: np.ndarray, ignore_index: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of x; scale to log_sum: what `mean_cross_entropy` returned beside the loss."""
    grad, dtype = np.empty(x.shape, x.dtype), x.dtype
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)  # g: at least one axis
    total = dtype.type(1 if total is None else total)
    target = np.ascontiguousarray(target, np.int64)
    _cross_entropy_backward(g, x, target, ignore_index, scale, total, top, log_sum, grad)
    return grad


def _losses(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray | None, ignore_index: int
) -> tuple[np.ndarray, ...]:
    """What `_cross_entropy` writes."""
    rows, sums = np.empty((4, len(x)), x.dtype), np.empty(2, x.dtype)
    x, target = np.ascontiguousarray(x), np.ascontiguousarray(target, np.int64)
    weight = None if weight is None else np.ascontiguousarray(weight)
    wrong = _cross_entropy(x, target, weight, ignore_index, rows, sums)
    if wrong >= 0:
        refuse_target(int(target[wrong]), x.shape[1])
    return *rows, sums
