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
    kept = target != ignore_index
    _check_targets(target, kept, classes)
    picked = xp.expand_dims(xp.where(kept, target, 0), 1)
    per_target = xp.ones(classes, x.dtype) if weight is None else weight
    scale = xp.where(kept, per_target[picked[:, 0]], x.dtype.type(0))

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
        hits = xp.arange(classes).reshape(1, -1, *(1,) * (logs.ndim - 2)) == picked
        grad -= hits * here
        if label_smoothing:
            mask = xp.expand_dims(kept, 1)
            smooth = (probabilities * per_target.sum() - class_weight) * mask
            grad = grad * (1 - label_smoothing) + smooth * (label_smoothing / classes)
        return grad * g

    if reduction == "none":
        return losses, (grad_x,)
    out = losses.sum() if reduction == "sum" else losses.sum() / total
    return out, (grad_x,)


def _check_targets(target: Array, kept: Array, classes: int) -> None:
    """Refuse a class that does not exist; not on a GPU, where looking would stop the stream."""
    if not isinstance(target, np.ndarray) or not target.size:
        return
    wrong = kept & ((target < 0) | (target >= classes))
    if wrong.any():
        raise IndexError(
            f"cross_entropy: target {int(target[wrong][0])} is out of bounds: "
            f"expected 0 <= target < {classes}, the number of classes"
        )
