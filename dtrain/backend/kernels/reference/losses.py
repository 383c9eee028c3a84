"""Losses of the difference of two arrays of one shape, added up."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def regression_loss(x: Array, target: Array, kind: str, delta: float, scale: float) -> Array:
    """scale times the sum of the losses of d = x - target, ().

    kind: "square", d^2; "abs", |d|; "huber", d^2 / 2 where |d| < delta and delta (|d| - delta / 2)
    elsewhere.
    """
    xp, d = array_module(x), x - target
    if kind == "square":
        losses = d * d
    elif kind == "abs":
        losses = xp.abs(d)
    else:
        near = xp.clip(d, -delta, delta)
        losses = near * (d - near / 2)
    return (losses.sum(keepdims=True) * scale).reshape(())


def regression_loss_backward(
    g: Array, x: Array, target: Array, kind: str, delta: float, scale: float
) -> Array:
    """The gradient of x, from that of the sum; that of target is its negative."""
    xp, d = array_module(x), x - target
    if kind == "square":
        return d * (g * (2 * scale))
    if kind == "abs":
        return xp.where(d == d, xp.sign(d), 0) * (g * scale)
    return xp.clip(d, -delta, delta) * (g * scale)
