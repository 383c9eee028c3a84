"""Steps of optimizers: update param and the state, all (n,), in place in one launch."""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each


def _sign(maximize: bool) -> int:
    """The factor of the gradient."""
    return -1 if maximize else 1


def follow_param(param: Array, grad: Array, master: Array) -> Array:
    """Let `master`, float32, have the elements of `param`, halves, that are not its own rounded.
    Returns grad in float32."""
    import cupy

    wide_grad = cupy.empty_like(master)
    for_each("optimizer", "follow_param", param.size, param, grad, master, wide_grad)
    return wide_grad


def sgd(
    param: Array, grad: Array, buffer: Array | None, lr: float, momentum: float, dampening: float,
    weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """SGD with momentum; buffer: of the momentum, filled where `first`, or None."""
    has_buffer = buffer is not None
    numbers = map(float, (lr, momentum, 1 - dampening, weight_decay, _sign(maximize)))
    for_each(
        "optimizer", "sgd", param.size, param, grad, buffer if has_buffer else param, *numbers,
        nesterov, has_buffer, first,
    )  # fmt: skip


def adam(
    param: Array, grad: Array, mean: Array, square: Array, largest: Array | None, lr: float,
    betas: tuple[float, float], eps: float, weight_decay: float, decoupled: bool, maximize: bool,
    step: int,
) -> None:  # fmt: skip
    """Adam; `decoupled`: AdamW's weight decay; largest: the largest square (amsgrad), or None."""
    beta1, beta2 = betas
    amsgrad = largest is not None
    numbers = (
        lr / (1 - beta1**step), 1 - beta1, beta2, 1 - beta2, eps, 0 if decoupled else weight_decay,
        1 - lr * weight_decay if decoupled else 1, 1 / math.sqrt(1 - beta2**step),
        _sign(maximize),
    )  # fmt: skip
    for_each(
        "optimizer", "adam", param.size, param, grad, mean, square, largest if amsgrad else square,
        *map(float, numbers), amsgrad,
    )  # fmt: skip


def rmsprop(
    param: Array, grad: Array, square: Array, mean: Array | None, buffer: Array | None, lr: float,
    alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop; mean: of the gradient, if centered; buffer: of the momentum; or None."""
    centered, has_buffer = mean is not None, buffer is not None
    numbers = map(float, (lr, alpha, 1 - alpha, eps, weight_decay, momentum, _sign(maximize)))
    for_each(
        "optimizer", "rmsprop", param.size, param, grad, square, mean if centered else square,
        buffer if has_buffer else square, *numbers, centered, has_buffer,
    )  # fmt: skip


def adagrad(
    param: Array, grad: Array, total: Array, lr: float, eps: float, weight_decay: float,
    maximize: bool,
) -> None:  # fmt: skip
    """Adagrad; total: the sum of the squared gradients."""
    numbers = map(float, (lr, eps, weight_decay, _sign(maximize)))
    for_each("optimizer", "adagrad", param.size, param, grad, total, *numbers)


def adadelta(
    param: Array, grad: Array, square: Array, changes: Array, lr: float, rho: float, eps: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adadelta; changes: the running mean of the squared updates."""
    numbers = map(float, (lr, rho, 1 - rho, eps, weight_decay, _sign(maximize)))
    for_each("optimizer", "adadelta", param.size, param, grad, square, changes, *numbers)


def adamax(
    param: Array, grad: Array, mean: Array, largest: Array, rate: float, betas: tuple[float, float],
    eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adamax; largest: the running maximum of |gradient|."""
    numbers = (rate, 1 - betas[0], betas[1], eps, weight_decay, _sign(maximize))
    for_each("optimizer", "adamax", param.size, param, grad, mean, largest, *map(float, numbers))


def nadam(
    param: Array, grad: Array, mean: Array, square: Array, rates: tuple[float, float],
    betas: tuple[float, float], eps: float, weight_decay: float, shrink: float, rest: float,
    maximize: bool,
) -> None:  # fmt: skip
    """NAdam; rates: of the gradient and of its mean; rest: the square's bias correction."""
    numbers = (
        *rates, 1 - betas[0], betas[1], 1 - betas[1], eps, weight_decay, shrink, rest,
        _sign(maximize),
    )  # fmt: skip
    for_each("optimizer", "nadam", param.size, param, grad, mean, square, *map(float, numbers))


def radam(
    param: Array, grad: Array, mean: Array, square: Array, rate: float, betas: tuple[float, float],
    eps: float, weight_decay: float, shrink: float, root: float, maximize: bool,
) -> None:  # fmt: skip
    """RAdam; root: the numerator of the adaptive rate, 0 while the variance is not tractable."""
    numbers = (
        rate, 1 - betas[0], betas[1], 1 - betas[1], eps, weight_decay, shrink, root,
        _sign(maximize),
    )  # fmt: skip
    for_each("optimizer", "radam", param.size, param, grad, mean, square, *map(float, numbers))


def rprop(
    param: Array, grad: Array, previous: Array, size: Array, etas: tuple[float, float],
    sizes: tuple[float, float], maximize: bool,
) -> None:  # fmt: skip
    """Rprop; previous: the last gradient, 0 where its sign had turned; size: of the steps."""
    numbers = map(float, (*etas, *sizes, _sign(maximize)))
    for_each("optimizer", "rprop", param.size, param, grad, previous, size, *numbers)


def asgd(
    param: Array, grad: Array, average: Array, eta: float, shrink: float, mu: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Averaged SGD at the rate eta; average += mu (param - average)."""
    numbers = map(float, (eta, shrink, mu, weight_decay, _sign(maximize)))
    for_each("optimizer", "asgd", param.size, param, grad, average, *numbers)
