"""Losses whose rule is worth fusing; the others are composed in `nn.functional`."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module


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
    """-log softmax(x) at the target class, over axis 1. x: (n, c, ...); target: (n, ...)."""
    xp = array_module(x)
    classes = x.shape[1]
    kept, picked, per_target, scale = _targets(x, target, weight, ignore_index)

    logs = x - x.max(1, keepdims=True)
    logs -= xp.log(xp.exp(logs).sum(1, keepdims=True))
    losses = -xp.take_along_axis(logs, picked, 1)[:, 0] * scale
    if label_smoothing:
        class_weight = per_target.reshape(1, -1, *(1,) * (x.ndim - 2))
        smooth = xp.where(kept, -(logs * class_weight).sum(1), x.dtype.type(0))
        losses = losses * (1 - label_smoothing) + smooth * (label_smoothing / classes)
    total = scale.sum() if reduction == "mean" else None

    def grad_x(g):
        if reduction == "mean":
            g = g / total
        g = xp.expand_dims(xp.broadcast_to(g, losses.shape), 1)
        here = xp.expand_dims(scale, 1)
        probabilities = xp.exp(logs)
        grad = probabilities * here
        grad -= _one_hot(picked, logs.shape) * here
        if label_smoothing:
            mask = xp.expand_dims(kept, 1)
            smooth = (probabilities * per_target.sum() - class_weight) * mask
            grad = grad * (1 - label_smoothing) + smooth * (label_smoothing / classes)
        return grad * g

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
    total = scale.sum() if reduction == "mean" else None
    shape = x.shape

    def grad_x(g):
        g = g / total if reduction == "mean" else g
        return _one_hot(picked, shape) * xp.expand_dims(-scale * g, 1)

    if reduction == "none":
        return losses, (grad_x,)
    return losses.sum() if reduction == "sum" else losses.sum() / total, (grad_x,)


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
