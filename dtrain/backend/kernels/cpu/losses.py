"""Losses of the difference of two arrays, added up in one pass, and their gradients.

A block of elements is added in the dtype of the arrays, over the lanes of a vector register, and
the sums of the blocks in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled

_BLOCK = 1 << 12


@compiled
def _square(x: np.ndarray, target: np.ndarray, delta: Any) -> Any:
    """The sum of d^2, d = x - target."""
    total = 0.0
    for start in range(0, x.size, _BLOCK):
        part = x.dtype.type(0)
        x_block, target_block = x[start : start + _BLOCK], target[start : start + _BLOCK]
        for i in range(x_block.size):
            d = x_block[i] - target_block[i]
            part += d * d
        total += part
    return total


@compiled
def _abs(x: np.ndarray, target: np.ndarray, delta: Any) -> Any:
    """The sum of |d|, d = x - target."""
    total = 0.0
    for start in range(0, x.size, _BLOCK):
        part = x.dtype.type(0)
        x_block, target_block = x[start : start + _BLOCK], target[start : start + _BLOCK]
        for i in range(x_block.size):
            part += abs(x_block[i] - target_block[i])
        total += part
    return total


@compiled
def _huber(x: np.ndarray, target: np.ndarray, delta: Any) -> Any:
    """The sum of near (d - near / 2), near = min(max(d, -delta), delta), d = x - target."""
    total, half = 0.0, x.dtype.type(0.5)
    for start in range(0, x.size, _BLOCK):
        part = x.dtype.type(0)
        x_block, target_block = x[start : start + _BLOCK], target[start : start + _BLOCK]
        for i in range(x_block.size):
            d = x_block[i] - target_block[i]
            near = -delta if d < -delta else d
            near = delta if near > delta else near
            part += near * (d - near * half)
        total += part
    return total


@compiled
def _square_backward(
    x: np.ndarray, target: np.ndarray, delta: Any, step: Any, grad: np.ndarray
) -> None:
    """grad = 2 step (x - target)."""
    twice = step + step
    for i in range(x.size):
        grad[i] = (x[i] - target[i]) * twice


@compiled
def _abs_backward(
    x: np.ndarray, target: np.ndarray, delta: Any, step: Any, grad: np.ndarray
) -> None:
    """grad = step with the sign of x - target; 0 where that is 0 or NaN."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        d = x[i] - target[i]
        up = step if d > zero else zero
        grad[i] = -step if d < zero else up


@compiled
def _huber_backward(
    x: np.ndarray, target: np.ndarray, delta: Any, step: Any, grad: np.ndarray
) -> None:
    """grad = step min(max(x - target, -delta), delta)."""
    for i in range(x.size):
        d = x[i] - target[i]
        near = -delta if d < -delta else d
        grad[i] = (delta if near > delta else near) * step


_LOOPS: dict[str, tuple[Any, Any]] = {
    "square": (_square, _square_backward),
    "abs": (_abs, _abs_backward),
    "huber": (_huber, _huber_backward),
}


def regression_loss(
    x: np.ndarray, target: np.ndarray, kind: str, delta: float, scale: float
) -> np.ndarray:
    """scale times the sum of the losses of x - target."""
    total = _LOOPS[kind][0](x.ravel(), target.ravel(), x.dtype.type(delta))
    return np.array(total * scale, x.dtype)


def regression_loss_backward(
    g: np.ndarray, x: np.ndarray, target: np.ndarray, kind: str, delta: float, scale: float
) -> np.ndarray:
    """The gradient of x, from that of the sum."""
    grad, of = np.empty(x.shape, x.dtype), x.dtype.type
    _LOOPS[kind][1](x.ravel(), target.ravel(), of(delta), of(g * scale), grad.ravel())
    return grad
