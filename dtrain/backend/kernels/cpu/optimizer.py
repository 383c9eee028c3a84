"""Steps of optimizers in one pass, without fused arithmetic: the bits are those of the reference.

So a step gives the same bits whether a run is updated whole or in parts, by this or by NumPy.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled


@compiled(fastmath=False)
def _sgd(param, grad, buffer, lr, momentum, fresh, weight_decay, nesterov, sign, has_buffer, first):
    for i in range(param.size):
        g = sign * grad[i]
        if weight_decay != 0:
            g = g + weight_decay * param[i]
        if has_buffer:
            b = g if first else momentum * buffer[i] + fresh * g
            buffer[i] = b
            g = g + momentum * b if nesterov else b
        param[i] -= lr * g


@compiled(fastmath=False)
def _adam(
    param, grad, mean, square, largest, rate, beta1, fresh1, beta2, fresh2, eps, decay, shrink,
    root, sign, amsgrad,
):  # fmt: skip
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        m = mean[i] + fresh1 * (g - mean[i])
        s = square[i] * beta2 + fresh2 * g * g
        mean[i], square[i] = m, s
        if amsgrad:
            s = largest[i] if largest[i] >= s or largest[i] != largest[i] else s
            largest[i] = s
        param[i] = param[i] * shrink - m / (np.sqrt(s) * root + eps) * rate


def sgd(
    param: np.ndarray, grad: np.ndarray, buffer: np.ndarray | None, lr: float, momentum: float,
    dampening: float, weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    T = param.dtype.type
    has_buffer = buffer is not None
    _sgd(
        param, grad, buffer if has_buffer else param, T(lr), T(momentum), T(1 - dampening),
        T(weight_decay), nesterov, T(-1 if maximize else 1), has_buffer, first,
    )  # fmt: skip


def adam(
    param: np.ndarray, grad: np.ndarray, mean: np.ndarray, square: np.ndarray,
    largest: np.ndarray | None, lr: float, betas: tuple[float, float], eps: float,
    weight_decay: float, decoupled: bool, maximize: bool, step: int,
) -> None:  # fmt: skip
    T = param.dtype.type
    beta1, beta2 = betas
    amsgrad = largest is not None
    _adam(
        param, grad, mean, square, largest if amsgrad else square, T(lr / (1 - beta1**step)),
        T(beta1), T(1 - beta1), T(beta2), T(1 - beta2), T(eps), T(0 if decoupled else weight_decay),
        T(1 - lr * weight_decay if decoupled else 1), T(1 / math.sqrt(1 - beta2**step)),
        T(-1 if maximize else 1), amsgrad,
    )  # fmt: skip
