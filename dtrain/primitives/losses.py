"""Losses whose rule is worth fusing; the others are composed in `nn.functional`."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module, kernels


@op
def cross_entropy(
    x: Array,
    *,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
):
    """-log softmax(x) at the target class, over axis 1. x: (n, c, ...); target: (n, ...).

    Label smoothing adds the mean over all classes (Szegedy et al. 2016, section 7).
    """
    xp = array_module(x)
    classes = x.shape[1]
    kept, picked, per_target, scale = _targets(x, target, weight, ignore_index)
    picks = picked.reshape(-1)

    def by_rows():
        return xp.moveaxis(x, 1, -1).reshape(scale.size, classes)

    def log_chances():
        return (by_rows() - top[:, None]) - log_sum[:, None]

    losses, top, log_sum = kernels.cross_entropy(by_rows(), picks)
    losses = losses.reshape(scale.shape) * scale
    total = scale.sum()
    share = xp.where(total == 0, 1, total)  # where nothing counts, nothing has a gradient
    spread = label_smoothing / classes

    if label_smoothing:
        smooth = -(log_chances() @ per_target).reshape(scale.shape)
        smooth = xp.where(kept, smooth, x.dtype.type(0))
        losses = losses * (1 - label_smoothing) + smooth * spread

    def grad_x(g):
        g = xp.broadcast_to(g / share if reduction == "mean" else g, scale.shape)
        at_target = (g * scale * (1 - label_smoothing)).reshape(-1)
        grad = kernels.cross_entropy_backward(at_target, by_rows(), picks, top, log_sum)
        if label_smoothing:
            of_smooth = (g * kept * spread).reshape(-1, 1)
            chances = xp.exp(log_chances())
            grad = grad + (chances * per_target.sum() - per_target) * of_smooth
        return xp.moveaxis(grad.reshape(*scale.shape, classes), -1, 1)

    if reduction == "none":
        return losses, (grad_x,)
    out = losses.sum() if reduction == "sum" else losses.sum() / total
    return out, (grad_x,)


@op
def nll_loss(x: Array, *, target: Array, weight: Array | None, ignore_index: int, reduction: str):
    """-x at the target class, over axis 1. x: (n, c, ...), log-probabilities; target: (n, ...)."""
    xp = array_module(x)
    _, picked, _, scale = _targets(x, target, weight, ignore_index)
    losses = -xp.take_along_axis(x, picked, 1)[:, 0] * scale
    total = scale.sum()
    share = xp.where(total == 0, 1, total)  # where nothing counts, nothing has a gradient
    shape = x.shape

    def grad_x(g):
        g = g / share if reduction == "mean" else g
        return _one_hot(picked, shape) * xp.expand_dims(-scale * g, 1)

    if reduction == "none":
        return losses, (grad_x,)
    return losses.sum() if reduction == "sum" else losses.sum() / total, (grad_x,)


@op
def huber(x: Array, *, delta: float):
    """x^2 / 2 where |x| < delta, delta (|x| - delta / 2) elsewhere."""
    xp = array_module(x)
    near = xp.clip(x, -delta, delta)
    return near * (x - near / 2), (lambda g: g * xp.clip(x, -delta, delta),)


@op
def binary_cross_entropy(x: Array, target: Array):
    """-target * log(x) - (1 - target) * log(1 - x), each logarithm at least -100."""
    xp = array_module(x)

    def log(chance):
        return xp.maximum(xp.log(chance), -100)

    def grad_x(g):
        return g * (x - target) / xp.maximum(x * (1 - x), 1e-12)

    if isinstance(x, np.ndarray) and ((x < 0) | (x > 1)).any():
        raise ValueError("expected probabilities between 0 and 1")
    return (target - 1) * log(1 - x) - target * log(x), (
        grad_x,
        lambda g: g * (log(1 - x) - log(x)),
    )


def _targets(x: Array, target: Array, weight: Array | None, ignore_index: int) -> tuple:
    """Which targets count, their classes (n, 1, ...), the classes' weights, and the targets'."""
    xp = array_module(x)
    kept = target != ignore_index
    _check_targets(target, kept, x.shape[1])
    picked = xp.expand_dims(xp.where(kept, target, 0), 1)
    per_target = xp.ones(x.shape[1], x.dtype) if weight is None else weight
    return kept, picked, per_target, xp.where(kept, per_target[picked[:, 0]], x.dtype.type(0))


def _one_hot(picked: Array, shape: tuple[int, ...]) -> Array:
    """Whether each class is the picked one. picked: (n, 1, ...); returns (n, c, ...)."""
    classes = array_module(picked).arange(shape[1])
    return classes.reshape(1, -1, *(1,) * (len(shape) - 2)) == picked


def _check_targets(target: Array, kept: Array, classes: int) -> None:
    """Refuse a class that does not exist; not on a GPU, where looking would stop the stream."""
    if not isinstance(target, np.ndarray) or not target.size:
        return
    wrong = kept & ((target < 0) | (target >= classes))
    if wrong.any():
        raise IndexError(
            f"Target {int(target[wrong][0])} is out of bounds: expected 0 <= target < {classes}, "
            "the number of classes"
        )
