"""Steps of optimizers in one pass over flat arrays of one length, float32 or float64.

Products and sums are rounded one by one, in the order of the reference: so a step gives the same
bits as the reference, whether a bucket is updated whole or in slices. The loops take numbers of the
arrays' dtype; `g` is the gradient with its sign (maximize) and its L2 weight decay, `fresh` 1 minus
the decay rate of a running mean.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled

#: A contiguous array, (n,), of the dtype of param.
Flat: TypeAlias = np.ndarray
#: A number of the dtype of param.
Real: TypeAlias = np.floating[Any]


@compiled(fastmath=False)
def _sgd(
    param: Flat, grad: Flat, buffer: Flat, lr: Real, momentum: Real, fresh: Real,
    weight_decay: Real, nesterov: bool, sign: Real, has_buffer: bool, first: bool,
) -> None:  # fmt: skip
    """buffer = momentum buffer + fresh g; param -= lr buffer (nesterov: of g + momentum buffer)."""
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
    param: Flat, grad: Flat, mean: Flat, square: Flat, largest: Flat, rate: Real, beta1: Real,
    fresh1: Real, beta2: Real, fresh2: Real, eps: Real, decay: Real, shrink: Real, root: Real,
    sign: Real, amsgrad: bool,
) -> None:  # fmt: skip
    """param = param shrink - rate mean / (sqrt(square) root + eps); amsgrad: largest for square."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        m = mean[i] + fresh1 * (g - mean[i])
        s = square[i] * beta2 + fresh2 * g * g
        mean[i], square[i] = m, s
        if amsgrad:
            s = largest[i] if largest[i] >= s or largest[i] != largest[i] else s
            largest[i] = s
        param[i] = param[i] * shrink - m / (np.sqrt(s) * root + eps) * rate


@compiled(fastmath=False)
def _rmsprop(
    param: Flat, grad: Flat, square: Flat, mean: Flat, buffer: Flat, lr: Real, alpha: Real,
    fresh: Real, eps: Real, decay: Real, momentum: Real, sign: Real, centered: bool,
    has_buffer: bool,
) -> None:  # fmt: skip
    """param -= lr g / (sqrt(square) + eps); centered: square - mean^2 in place of square."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        s = square[i] * alpha + fresh * g * g
        square[i] = s
        if centered:
            m = mean[i] + fresh * (g - mean[i])
            mean[i] = m
            # a square that overflows stays infinite where m * m overflows, too
            s = s if (s == np.inf) & (abs(m) < np.inf) else s - m * m
        change = g / (np.sqrt(s) + eps)
        if has_buffer:
            change = buffer[i] * momentum + change
            buffer[i] = change
        param[i] -= lr * change


@compiled(fastmath=False)
def _adagrad(
    param: Flat, grad: Flat, total: Flat, lr: Real, eps: Real, decay: Real, sign: Real,
) -> None:  # fmt: skip
    """total += g^2; param -= lr g / (sqrt(total) + eps)."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        s = total[i] + g * g
        total[i] = s
        param[i] -= lr * (g / (np.sqrt(s) + eps))


@compiled(fastmath=False)
def _adadelta(
    param: Flat, grad: Flat, square: Flat, changes: Flat, lr: Real, rho: Real, fresh: Real,
    eps: Real, decay: Real, sign: Real,
) -> None:  # fmt: skip
    """param -= lr sqrt(changes + eps) / sqrt(square + eps) g."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        s = square[i] * rho + fresh * g * g
        change = np.sqrt(changes[i] + eps) / np.sqrt(s + eps) * g
        square[i] = s
        changes[i] = changes[i] * rho + fresh * change * change
        param[i] -= lr * change


@compiled(fastmath=False)
def _adamax(
    param: Flat, grad: Flat, mean: Flat, largest: Flat, rate: Real, fresh1: Real, beta2: Real,
    eps: Real, decay: Real, sign: Real,
) -> None:  # fmt: skip
    """largest = max(beta2 largest, |g| + eps); param -= rate mean / largest."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        m = mean[i] + fresh1 * (g - mean[i])
        old, new = largest[i] * beta2, abs(g) + eps
        new = old if old >= new or old != old else new
        mean[i], largest[i] = m, new
        param[i] -= rate * (m / new)


@compiled(fastmath=False)
def _nadam(
    param: Flat, grad: Flat, mean: Flat, square: Flat, rate1: Real, rate2: Real, fresh1: Real,
    beta2: Real, fresh2: Real, eps: Real, decay: Real, shrink: Real, rest: Real, sign: Real,
) -> None:  # fmt: skip
    """param = param shrink - (rate1 g + rate2 mean) / (sqrt(square / rest) + eps)."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        m = mean[i] + fresh1 * (g - mean[i])
        s = square[i] * beta2 + fresh2 * g * g
        mean[i], square[i] = m, s
        scale = np.sqrt(s / rest) + eps
        param[i] = param[i] * shrink - rate1 * (g / scale) - rate2 * (m / scale)


@compiled(fastmath=False)
def _radam(
    param: Flat, grad: Flat, mean: Flat, square: Flat, rate: Real, fresh1: Real, beta2: Real,
    fresh2: Real, eps: Real, decay: Real, shrink: Real, root: Real, sign: Real,
) -> None:  # fmt: skip
    """param = param shrink - rate mean root / (sqrt(square) + eps); root 0: - rate mean."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        m = mean[i] + fresh1 * (g - mean[i])
        s = square[i] * beta2 + fresh2 * g * g
        mean[i], square[i] = m, s
        change = rate * m
        if root != 0:
            change = change * (root / (np.sqrt(s) + eps))
        param[i] = param[i] * shrink - change


@compiled(fastmath=False)
def _rprop(
    param: Flat, grad: Flat, previous: Flat, size: Flat, shrink: Real, grow: Real, low: Real,
    high: Real, sign: Real,
) -> None:  # fmt: skip
    """size grows where g keeps its sign and shrinks where it turns; param -= sign(g) size."""
    none = sign - sign
    for i in range(param.size):
        g = sign * grad[i]
        product, s = g * previous[i], size[i]
        if product > 0:
            s = s * grow
        elif product < 0:
            s, g = s * shrink, none
        s = low if s < low else high if s > high else s
        size[i], previous[i] = s, g
        param[i] -= s if g > 0 else -s if g < 0 else none


@compiled(fastmath=False)
def _asgd(
    param: Flat, grad: Flat, average: Flat, eta: Real, shrink: Real, mu: Real, decay: Real,
    sign: Real,
) -> None:  # fmt: skip
    """param = param shrink - eta g; average += mu (param - average)."""
    for i in range(param.size):
        g = sign * grad[i] + decay * param[i] if decay != 0 else sign * grad[i]
        p = param[i] * shrink - eta * g
        param[i] = p
        average[i] = p if mu == 1 else average[i] + mu * (p - average[i])


def _sign(maximize: bool) -> int:
    """The factor of the gradient."""
    return -1 if maximize else 1


def _none(param: np.ndarray) -> np.ndarray:
    """An array for a state that is None. One that the loop writes to, too, would keep the loop from
    being vector code."""
    return np.empty(0, param.dtype)


def sgd(
    param: np.ndarray, grad: np.ndarray, buffer: np.ndarray | None, lr: float, momentum: float,
    dampening: float, weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """SGD with momentum; buffer: of the momentum, filled where `first`, or None."""
    T = param.dtype.type
    has_buffer = buffer is not None
    _sgd(
        param, grad, buffer if has_buffer else _none(param), T(lr), T(momentum), T(1 - dampening),
        T(weight_decay), nesterov, T(_sign(maximize)), has_buffer, first,
    )  # fmt: skip


def adam(
    param: np.ndarray, grad: np.ndarray, mean: np.ndarray, square: np.ndarray,
    largest: np.ndarray | None, lr: float, betas: tuple[float, float], eps: float,
    weight_decay: float, decoupled: bool, maximize: bool, step: int,
) -> None:  # fmt: skip
    """Adam; `decoupled`: AdamW's weight decay; largest: the largest square (amsgrad), or None."""
    T = param.dtype.type
    beta1, beta2 = betas
    amsgrad = largest is not None
    _adam(
        param, grad, mean, square, largest if amsgrad else _none(param), T(lr / (1 - beta1**step)),
        T(beta1), T(1 - beta1), T(beta2), T(1 - beta2), T(eps), T(0 if decoupled else weight_decay),
        T(1 - lr * weight_decay if decoupled else 1), T(1 / math.sqrt(1 - beta2**step)),
        T(_sign(maximize)), amsgrad,
    )  # fmt: skip


def rmsprop(
    param: np.ndarray, grad: np.ndarray, square: np.ndarray, mean: np.ndarray | None,
    buffer: np.ndarray | None, lr: float, alpha: float, eps: float, weight_decay: float,
    momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop; mean: of the gradient, if centered; buffer: of the momentum; or None."""
    T = param.dtype.type
    none, centered, has_buffer = _none(param), mean is not None, buffer is not None
    _rmsprop(
        param, grad, square, mean if centered else none, buffer if has_buffer else none, T(lr),
        T(alpha), T(1 - alpha), T(eps), T(weight_decay), T(momentum), T(_sign(maximize)), centered,
        has_buffer,
    )  # fmt: skip


def adagrad(
    param: np.ndarray, grad: np.ndarray, total: np.ndarray, lr: float, eps: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adagrad; total: the sum of the squared gradients."""
    T = param.dtype.type
    _adagrad(param, grad, total, T(lr), T(eps), T(weight_decay), T(_sign(maximize)))


def adadelta(
    param: np.ndarray, grad: np.ndarray, square: np.ndarray, changes: np.ndarray, lr: float,
    rho: float, eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adadelta; changes: the running mean of the squared updates."""
    T = param.dtype.type
    _adadelta(
        param, grad, square, changes, T(lr), T(rho), T(1 - rho), T(eps), T(weight_decay),
        T(_sign(maximize)),
    )  # fmt: skip


def adamax(
    param: np.ndarray, grad: np.ndarray, mean: np.ndarray, largest: np.ndarray, rate: float,
    betas: tuple[float, float], eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adamax; largest: the running maximum of |gradient|."""
    T = param.dtype.type
    _adamax(
        param, grad, mean, largest, T(rate), T(1 - betas[0]), T(betas[1]), T(eps), T(weight_decay),
        T(_sign(maximize)),
    )  # fmt: skip


def nadam(
    param: np.ndarray, grad: np.ndarray, mean: np.ndarray, square: np.ndarray,
    rates: tuple[float, float], betas: tuple[float, float], eps: float, weight_decay: float,
    shrink: float, rest: float, maximize: bool,
) -> None:  # fmt: skip
    """NAdam; rates: of the gradient and of its mean; rest: the square's bias correction."""
    T = param.dtype.type
    _nadam(
        param, grad, mean, square, T(rates[0]), T(rates[1]), T(1 - betas[0]), T(betas[1]),
        T(1 - betas[1]), T(eps), T(weight_decay), T(shrink), T(rest), T(_sign(maximize)),
    )  # fmt: skip


def radam(
    param: np.ndarray, grad: np.ndarray, mean: np.ndarray, square: np.ndarray, rate: float,
    betas: tuple[float, float], eps: float, weight_decay: float, shrink: float, root: float,
    maximize: bool,
) -> None:  # fmt: skip
    """RAdam; root: the numerator of the adaptive rate, 0 while the variance is not tractable."""
    T = param.dtype.type
    _radam(
        param, grad, mean, square, T(rate), T(1 - betas[0]), T(betas[1]), T(1 - betas[1]), T(eps),
        T(weight_decay), T(shrink), T(root), T(_sign(maximize)),
    )  # fmt: skip


def rprop(
    param: np.ndarray, grad: np.ndarray, previous: np.ndarray, size: np.ndarray,
    etas: tuple[float, float], sizes: tuple[float, float], maximize: bool,
) -> None:  # fmt: skip
    """Rprop; previous: the last gradient, 0 where its sign had turned; size: of the steps."""
    T = param.dtype.type
    numbers = (T(number) for number in (*etas, *sizes, _sign(maximize)))
    _rprop(param, grad, previous, size, *numbers)


def asgd(
    param: np.ndarray, grad: np.ndarray, average: np.ndarray, eta: float, shrink: float, mu: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Averaged SGD at the rate eta; average += mu (param - average)."""
    T = param.dtype.type
    numbers = (T(number) for number in (eta, shrink, mu, weight_decay, _sign(maximize)))
    _asgd(param, grad, average, *numbers)
