"""Steps of optimizers: update param and the state in place. All arrays: (n,), of one dtype.

`maximize` negates the gradient; `weight_decay` is L2 unless the kernel says otherwise.
"""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array, array_module


def follow_param(param: Array, grad: Array, master: Array) -> Array:
    """Let `master`, float32, have the elements of `param`, halves, that are not its own rounded.
    Returns grad in float32."""
    wide = param.astype(master.dtype)
    is_own = master.astype(param.dtype).astype(master.dtype) == wide
    master[...] = array_module(master).where(is_own, master, wide)
    return grad.astype(master.dtype)


def sgd(
    param: Array, grad: Array, buffer: Array | None, lr: float, momentum: float, dampening: float,
    weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """SGD with momentum; buffer: of the momentum, filled where `first`, or None."""
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
    """Adam; `decoupled`: AdamW's weight decay; largest: the largest square (amsgrad), or None."""
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


def _with_decay(param: Array, grad: Array, weight_decay: float, maximize: bool) -> Array:
    """The gradient with its sign and its L2 weight decay."""
    grad = -grad if maximize else grad
    return grad + weight_decay * param if weight_decay else grad


def rmsprop(
    param: Array, grad: Array, square: Array, mean: Array | None, buffer: Array | None, lr: float,
    alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """RMSprop; mean: of the gradient, if centered; buffer: of the momentum; or None."""
    xp = array_module(param)
    grad = _with_decay(param, grad, weight_decay, maximize)
    square *= alpha
    square += (1 - alpha) * grad * grad
    spread = square
    if mean is not None:
        mean += (1 - alpha) * (grad - mean)
        too_large = xp.isinf(square) & xp.isfinite(mean)
        spread = xp.where(too_large, square, square - mean * mean)
    change = grad / (xp.sqrt(spread) + eps)
    if buffer is not None:
        buffer *= momentum
        buffer += change
        change = buffer
    param -= lr * change


def adagrad(
    param: Array, grad: Array, total: Array, lr: float, eps: float, weight_decay: float,
    maximize: bool,
) -> None:  # fmt: skip
    """Adagrad; total: the sum of the squared gradients."""
    grad = _with_decay(param, grad, weight_decay, maximize)
    total += grad * grad
    param -= lr * (grad / (array_module(param).sqrt(total) + eps))


def adadelta(
    param: Array, grad: Array, square: Array, changes: Array, lr: float, rho: float, eps: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adadelta; changes: the running mean of the squared updates."""
    xp = array_module(param)
    grad = _with_decay(param, grad, weight_decay, maximize)
    square *= rho
    square += (1 - rho) * grad * grad
    change = xp.sqrt(changes + eps) / xp.sqrt(square + eps) * grad
    changes *= rho
    changes += (1 - rho) * change * change
    param -= lr * change


def adamax(
    param: Array, grad: Array, mean: Array, largest: Array, rate: float, betas: tuple[float, float],
    eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Adamax; largest: the running maximum of |gradient|, decayed by betas[1]."""
    xp, (beta1, beta2) = array_module(param), betas
    grad = _with_decay(param, grad, weight_decay, maximize)
    mean += (1 - beta1) * (grad - mean)
    largest[...] = xp.maximum(largest * beta2, xp.abs(grad) + eps)
    param -= rate * (mean / largest)


def nadam(
    param: Array, grad: Array, mean: Array, square: Array, rates: tuple[float, float],
    betas: tuple[float, float], eps: float, weight_decay: float, shrink: float, rest: float,
    maximize: bool,
) -> None:  # fmt: skip
    """NAdam; rates: of the gradient and of its mean; rest: the square's bias correction.

    `shrink`, a factor of the parameter, is the decoupled weight decay.
    """
    beta1, beta2 = betas
    grad = _with_decay(param, grad, weight_decay, maximize)
    mean += (1 - beta1) * (grad - mean)
    square *= beta2
    square += (1 - beta2) * grad * grad
    scale = array_module(param).sqrt(square / rest) + eps
    param *= shrink
    param -= rates[0] * (grad / scale)
    param -= rates[1] * (mean / scale)


def radam(
    param: Array, grad: Array, mean: Array, square: Array, rate: float, betas: tuple[float, float],
    eps: float, weight_decay: float, shrink: float, root: float, maximize: bool,
) -> None:  # fmt: skip
    """RAdam; root: the numerator of the adaptive rate, 0 while the variance is not tractable.

    `shrink`, a factor of the parameter, is the decoupled weight decay.
    """
    beta1, beta2 = betas
    grad = _with_decay(param, grad, weight_decay, maximize)
    mean += (1 - beta1) * (grad - mean)
    square *= beta2
    square += (1 - beta2) * grad * grad
    change = rate * mean
    if root:
        change *= root / (array_module(param).sqrt(square) + eps)
    param *= shrink
    param -= change


def rprop(
    param: Array, grad: Array, previous: Array, size: Array, etas: tuple[float, float],
    sizes: tuple[float, float], maximize: bool,
) -> None:  # fmt: skip
    """Rprop; previous: the last gradient, 0 where its sign had turned; size: of the steps."""
    xp = array_module(param)
    grad = -grad if maximize else grad
    turn = xp.sign(grad * previous)
    size *= xp.where(turn > 0, etas[1], xp.where(turn < 0, etas[0], 1)).astype(size.dtype)
    xp.clip(size, *sizes, out=size)
    previous[...] = xp.where(turn < 0, 0, grad)
    # a NaN moves nothing, as in PyTorch
    param -= xp.where(previous > 0, size, xp.where(previous < 0, -size, 0))


def asgd(
    param: Array, grad: Array, average: Array, eta: float, shrink: float, mu: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """Averaged SGD at the rate eta; average += mu (param - average)."""
    grad = _with_decay(param, grad, weight_decay, maximize)
    param *= shrink
    param -= eta * grad
    if mu == 1:
        average[...] = param
    else:
        average += mu * (param - average)
