"""Steps of optimizers, in place, on flat arrays of one length."""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array, array_module


def sgd(
    param: Array, grad: Array, buffer: Array | None, lr: float, momentum: float, dampening: float,
    weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """Gradient descent. buffer: of the momentum, if there is any; `first` fills it."""
    if maximize:
        grad = -grad
    if weight_decay:
        grad = grad + weight_decay * param
    if buffer is not None:
        if first:
            buffer[...] = grad
        else:
            buffer *= momentum
            buffer += grad if not dampening else (1 - dampening) * grad
        grad = grad + momentum * buffer if nesterov else buffer
    param -= lr * grad


def adam(
    param: Array, grad: Array, mean: Array, square: Array, largest: Array | None, lr: float,
    betas: tuple[float, float], eps: float, weight_decay: float, decoupled: bool, maximize: bool,
    step: int,
) -> None:  # fmt: skip
    """Adam; `decoupled` weight decay is AdamW's; largest: the greatest square, for amsgrad."""
    xp = array_module(param)
    beta1, beta2 = betas
    if maximize:
        grad = -grad
    if weight_decay and decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay:
        grad = grad + weight_decay * param
    mean += (1 - beta1) * (grad - mean)
    square *= beta2
    square += (1 - beta2) * grad * grad
    if largest is not None:
        xp.maximum(largest, square, out=largest)
        square = largest
    scale = xp.sqrt(square)
    scale *= 1 / math.sqrt(1 - beta2**step)
    scale += eps
    xp.divide(mean, scale, out=scale)
    scale *= lr / (1 - beta1**step)
    param -= scale
