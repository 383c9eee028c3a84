"""The larger and the smaller of two values, and limits."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


@op
def maximum(x: Array, y: Array) -> OutputAndVJPs:
    """The larger of each pair; where they are equal each gets half of the gradient."""
    xp = array_module(x, y)

    def share(g: Array, mine: Array, other: Array) -> Array:
        return g * (1 - (mine < other) - (mine == other) * 0.5).astype(g.dtype)

    return xp.maximum(x, y), (lambda g: share(g, x, y), lambda g: share(g, y, x))


@op
def minimum(x: Array, y: Array) -> OutputAndVJPs:
    """The smaller of each pair; where they are equal each gets half of the gradient."""
    xp = array_module(x, y)

    def share(g: Array, mine: Array, other: Array) -> Array:
        return g * (1 - (mine > other) - (mine == other) * 0.5).astype(g.dtype)

    return xp.minimum(x, y), (lambda g: share(g, x, y), lambda g: share(g, y, x))


@op
def fmax(x: Array, y: Array) -> OutputAndVJPs:
    """The larger of each pair, of a NaN and a number the number; x where they are equal."""
    xp = array_module(x, y)
    return xp.fmax(x, y), (
        lambda g: g * ((x >= y) | (y != y)),
        lambda g: g * ((y > x) | ((x != x) & (y == y))),
    )


@op
def fmin(x: Array, y: Array) -> OutputAndVJPs:
    """The smaller of each pair, of a NaN and a number the number; x where they are equal."""
    xp = array_module(x, y)
    return xp.fmin(x, y), (
        lambda g: g * ((x <= y) | (y != y)),
        lambda g: g * ((y < x) | ((x != x) & (y == y))),
    )


@op
def clamp(x: Array, *, min: float | None, max: float | None) -> OutputAndVJPs:
    """x limited to [min, max]; the gradient is 1 at the limits and 0 beyond."""

    def grad_x(g: Array) -> Array:
        if max is None:
            return g * (x >= min)
        if min is None:
            return g * (x <= max)
        return g * ((x >= min) & (x <= max))

    return array_module(x).clip(x, min, max), (grad_x,)


@op
def clamp_min(x: Array, y: Array) -> OutputAndVJPs:
    """x, at least y; where they are equal x gets the gradient."""
    return array_module(x, y).maximum(x, y), (lambda g: g * (x >= y), lambda g: g * (x < y))


@op
def clamp_max(x: Array, y: Array) -> OutputAndVJPs:
    """x, at most y; where they are equal x gets the gradient."""
    return array_module(x, y).minimum(x, y), (lambda g: g * (x <= y), lambda g: g * (x > y))


@op
def clamp_between(x: Array, low: Array, high: Array) -> OutputAndVJPs:
    """x limited to [low, high]; `high` where they are crossed.

    The gradient goes to x at the limits and between them, else to the limit that is in x's place;
    where the limits are equal and x is below them, to none, as in PyTorch.
    """
    xp = array_module(x, low, high)
    return xp.minimum(xp.maximum(x, low), high), (
        lambda g: g * ((x >= low) & (x <= high)),
        lambda g: g * ((x < low) & (low < high)),
        lambda g: g * ((x > high) | (high < low)),
    )


@op
def nan_to_num(x: Array, *, nan: float, posinf: float, neginf: float) -> OutputAndVJPs:
    """x with numbers in place of NaN and the infinities; no gradient goes there."""
    xp = array_module(x)
    out = xp.where(x == math.inf, posinf, xp.where(x == -math.inf, neginf, x))
    return xp.where(x == x, out, nan), (lambda g: xp.where(xp.isfinite(x), g, 0),)
