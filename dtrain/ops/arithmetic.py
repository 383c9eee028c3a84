"""Elementwise arithmetic, comparisons, exponentials and rounding.

Operands are arrays, or Python numbers, which do not decide the dtype; outputs broadcast.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module, device_of
from dtrain.backend import move as move_array


@op
def add(x: Array, y: Array):
    """x + y"""
    return x + y, (lambda g: g, lambda g: g)


@op
def sub(x: Array, y: Array):
    """x - y"""
    return x - y, (lambda g: g, lambda g: -g)


@op
def mul(x: Array, y: Array):
    """x * y"""
    return x * y, (lambda g: g * y, lambda g: g * x)


@op
def div(x: Array, y: Array):
    """x / y"""
    return x / y, (lambda g: g / y, lambda g: -g * (x / y / y))  # y * y may overflow


@op
def pow(x: Array, y: Array):
    """x ** y"""
    xp = array_module(x, y)

    def grad_x(g):
        if isinstance(y, (int, float)):
            return xp.zeros_like(g) if y == 0 else g * (x if y == 2 else x ** (y - 1)) * y
        return g * xp.where(y == 0, 0, y * x ** xp.where(y == 0, 1, y - 1))

    def grad_y(g):
        base = xp.asarray(x, out.dtype)
        zero = base == 0
        return g * xp.where(zero, 0, out * xp.log(xp.where(zero, 1, base)))

    out = x * x if isinstance(y, (int, float)) and y == 2 else x**y
    return out, (grad_x, grad_y)


@op
def neg(x: Array):
    """-x"""
    return -x, (lambda g: -g,)


@op
def abs(x: Array):
    """|x|; the gradient at 0 is 0."""
    xp = array_module(x)
    return xp.abs(x), (lambda g: g * xp.sign(x),)


@op
def reciprocal(x: Array):
    """1 / x"""
    out = 1 / x
    return out, (lambda g: -g * out * out,)


@op
def invert(x: Array):
    """Each bit, or each truth value, turned over."""
    return ~x, ()


@op
def exp(x: Array):
    """e ** x"""
    out = array_module(x).exp(x)
    return out, (lambda g: g * out,)


@op
def expm1(x: Array):
    """e ** x - 1, exact near 0."""
    out = array_module(x).expm1(x)
    return out, (lambda g: g * (out + 1),)


@op
def log(x: Array):
    """The natural logarithm."""
    return array_module(x).log(x), (lambda g: g / x,)


@op
def log2(x: Array):
    """The logarithm to base 2."""
    return array_module(x).log2(x), (lambda g: g / (x * math.log(2)),)


@op
def log10(x: Array):
    """The logarithm to base 10."""
    return array_module(x).log10(x), (lambda g: g / (x * math.log(10)),)


@op
def log1p(x: Array):
    """log(1 + x), exact near 0."""
    return array_module(x).log1p(x), (lambda g: g / (x + 1),)


@op
def sqrt(x: Array):
    """The square root."""
    out = array_module(x).sqrt(x)
    return out, (lambda g: g / (2 * out),)


@op
def root(x: Array):
    """The square root of a sum of squares; the gradient at 0 is 0, not infinite."""
    xp = array_module(x)
    out = xp.sqrt(x)
    return out, (lambda g: g * xp.where(out == 0, 0, 0.5 / out),)


@op
def rsqrt(x: Array):
    """1 / sqrt(x)"""
    out = 1 / array_module(x).sqrt(x)
    return out, (lambda g: g * (-0.5) * out * out * out,)


@op
def sin(x: Array):
    """The sine of radians."""
    xp = array_module(x)
    return xp.sin(x), (lambda g: g * xp.cos(x),)


@op
def cos(x: Array):
    """The cosine of radians."""
    xp = array_module(x)
    return xp.cos(x), (lambda g: -g * xp.sin(x),)


@op
def maximum(x: Array, y: Array):
    """The larger of each pair; where they are equal each gets half of the gradient."""
    xp = array_module(x, y)

    def share(g, mine, other):
        return g * ((mine > other) + (mine == other) * 0.5).astype(g.dtype)

    return xp.maximum(x, y), (lambda g: share(g, x, y), lambda g: share(g, y, x))


@op
def minimum(x: Array, y: Array):
    """The smaller of each pair; where they are equal each gets half of the gradient."""
    xp = array_module(x, y)

    def share(g, mine, other):
        return g * ((mine < other) + (mine == other) * 0.5).astype(g.dtype)

    return xp.minimum(x, y), (lambda g: share(g, x, y), lambda g: share(g, y, x))


@op
def clamp(x: Array, *, min: float | None, max: float | None):
    """x limited to [min, max]; the gradient is 1 at the limits and 0 beyond."""

    def grad_x(g):
        if max is None:
            return g * (x >= min)
        if min is None:
            return g * (x <= max)
        return g * ((x >= min) & (x <= max))

    return array_module(x).clip(x, min, max), (grad_x,)


@op
def cast(x: Array, *, dtype: np.dtype):
    """x as another dtype; always a copy."""
    return x.astype(dtype), (lambda g: g,) if np.dtype(dtype).kind == "f" else ()


@op
def clone(x: Array):
    """A copy of x."""
    return x.copy(), (lambda g: g,)


@op
def to_device(x: Array, *, move):
    """x where `move` brings it; the gradient goes back to the device of x."""
    source = device_of(x)
    return move(x), (lambda g: move_array(g, source),)


def _step(name: str, text: str):
    def rule(x: Array):
        xp = array_module(x)
        return getattr(xp, name)(x), (lambda g: xp.zeros_like(g),)

    rule.__name__, rule.__doc__ = name, f"{text} The gradient is 0."
    return op(rule)


sign = _step("sign", "-1, 0 or 1.")
floor = _step("floor", "The largest integer not above.")
ceil = _step("ceil", "The smallest integer not below.")
round = _step("round", "The nearest integer; halves to even.")


def _without_gradient(name: str, text: str):
    def rule(x: Array):
        return getattr(array_module(x), name)(x), ()

    rule.__name__, rule.__doc__ = name, text
    return op(rule)


isnan = _without_gradient("isnan", "Whether each is NaN.")
isinf = _without_gradient("isinf", "Whether each is infinite.")
isfinite = _without_gradient("isfinite", "Whether each is neither NaN nor infinite.")
logical_not = _without_gradient("logical_not", "Whether each is zero or False.")


def _comparison(name: str, numpy_name: str):
    def rule(x: Array, y: Array):
        return getattr(array_module(x, y), numpy_name)(x, y), ()

    rule.__name__, rule.__doc__ = name, f"numpy.{numpy_name} of each pair, as bool."
    return op(rule)


eq = _comparison("eq", "equal")
ne = _comparison("ne", "not_equal")
lt = _comparison("lt", "less")
le = _comparison("le", "less_equal")
gt = _comparison("gt", "greater")
ge = _comparison("ge", "greater_equal")
logical_and = _comparison("logical_and", "logical_and")
logical_or = _comparison("logical_or", "logical_or")
