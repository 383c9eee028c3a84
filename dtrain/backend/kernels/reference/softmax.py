"""Softmax, log-softmax and cross-entropy of logits. x: any shape, or (rows, classes)."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from dtrain.backend.array_module import Array, array_module


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along an axis."""
    powers = array_module(x).exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def softmax_backward(g: Array, out: Array, axis: int) -> Array:
    """The gradient of x, from that of out = softmax(x)."""
    return (g - (g * out).sum(axis, keepdims=True)) * out


def log_softmax(x: Array, axis: int) -> Array:
    """log(softmax(x)) along an axis."""
    xp = array_module(x)
    shifted = x - x.max(axis, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis, keepdims=True))


def log_softmax_backward(g: Array, out: Array, axis: int) -> Array:
    """The gradient of x, from that of out = log_softmax(x)."""
    return g - array_module(out).exp(out) * g.sum(axis, keepdims=True)


def cross_entropy(x: Array, target: Array) -> tuple[Array, Array, Array]:
    """-log softmax(x) at the target class, of each row.

    x: (rows, classes); target: (rows,) int64, in range. Returns the losses, and for the gradient
    the maximum m and log(sum(exp(x - m))), all (rows,); m + log_sum as one number would be rounded.
    """
    xp = array_module(x)
    top = x.max(1)
    log_sum = xp.log(xp.exp(x - top[:, None]).sum(1))
    return log_sum - (xp.take_along_axis(x, target[:, None], 1)[:, 0] - top), top, log_sum


def mean_cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Array, Array | None, Array, Array]:
    """-weight[target] log softmax(x)[target], 0 for the target ignore_index; the losses (rows,),
    their sum, or it divided by that of the weights. Refuses other targets that are no class, on a
    CPU.

    x: (rows, classes); target: (rows,); weight: (classes,) or None. Returns the loss, and what the
    gradient needs: the weight of each row, their sum if `reduction` is "mean", 1 if it is "sum",
    None if it is "none", and what `cross_entropy` returns.
    """
    xp = array_module(x)
    kept = target != ignore_index
    check_targets(target, kept, x.shape[1])
    picked = xp.where(kept, target, 0)
    scale = xp.ones(len(x), x.dtype) if weight is None else weight[picked]
    scale = xp.where(kept, scale, scale.dtype.type(0))
    losses, top, log_sum = cross_entropy(x, picked)
    losses = xp.where(kept, losses * scale, losses.dtype.type(0))
    if reduction == "none":
        return losses, scale, None, top, log_sum
    total = xp.asarray(scale.sum() if reduction == "mean" else 1, scale.dtype)
    return xp.asarray(losses.sum() / total), scale, total, top, log_sum


def check_targets(target: Array, kept: Array, classes: int) -> None:
    """Refuse a class that does not exist; not on a GPU, where looking would stop the stream."""
    if not isinstance(target, np.ndarray) or not target.size:
        return
    wrong = kept & ((target < 0) | (target >= classes))
    if wrong.any():
        refuse_target(int(target[wrong][0]), classes)


def refuse_target(target: int, classes: int) -> NoReturn:
    """Raise the error for a class that does not exist."""
    raise IndexError(
        f"Target {target} is out of bounds: expected 0 <= target < {classes}, the number of classes"
    )


def mean_cross_entropy_backward(
    g: Array, x: Array, target: Array, scale: Array, total: Array | None, top: Array,
    log_sum: Array, ignore_index: int,
) -> Array:  # fmt: skip
    """The gradient of x; scale to log_sum: what `mean_cross_entropy` returned beside the loss."""
    xp = array_module(x)
    there = target != ignore_index
    g = xp.where(there, (g if total is None else g / total) * scale, g.dtype.type(0))
    return cross_entropy_backward(g, x, xp.where(there, target, 0), top, log_sum)


def cross_entropy_backward(g: Array, x: Array, target: Array, top: Array, log_sum: Array) -> Array:
    """The gradient of x: g * (softmax(x) - one_hot(target)). g: (rows,)."""
    xp = array_module(x)
    one_hot = (xp.arange(x.shape[1]) == target[:, None]).astype(x.dtype)
    return (xp.exp(x - top[:, None] - log_sum[:, None]) - one_hot) * g[:, None]
