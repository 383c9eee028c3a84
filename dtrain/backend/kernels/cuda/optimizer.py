"""Steps of optimizers, in place, in one pass."""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each


def sgd(
    param: Array, grad: Array, buffer: Array | None, lr: float, momentum: float, dampening: float,
    weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    has_buffer = buffer is not None
    numbers = map(float, (lr, momentum, 1 - dampening, weight_decay, -1 if maximize else 1))
    for_each(
        "optimizer", "sgd", param.size, param, grad, buffer if has_buffer else param, *numbers,
        nesterov, has_buffer, first,
    )  # fmt: skip


def adam(
    param: Array, grad: Array, mean: Array, square: Array, largest: Array | None, lr: float,
    betas: tuple[float, float], eps: float, weight_decay: float, decoupled: bool, maximize: bool,
    step: int,
) -> None:  # fmt: skip
    beta1, beta2 = betas
    amsgrad = largest is not None
    numbers = (
        lr / (1 - beta1**step), 1 - beta1, beta2, 1 - beta2, eps, 0 if decoupled else weight_decay,
        1 - lr * weight_decay if decoupled else 1, 1 / math.sqrt(1 - beta2**step),
        -1 if maximize else 1,
    )  # fmt: skip
    for_each(
        "optimizer", "adam", param.size, param, grad, mean, square, largest if amsgrad else square,
        *map(float, numbers), amsgrad,
    )  # fmt: skip
