"""Elementwise arithmetic, powers, exponentials, logarithms and limits.

Operands are arrays, or Python numbers, which do not decide the dtype; outputs broadcast.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.tensor import is_traced
from dtrain.backend import Array, array_module, device_of
from dtrain.backend import move as move_array
from dtrain.backend.dtypes import is_floating


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
        zero = (base == 0) & (y >= 0)
        return g * xp.where(zero, 0, out * xp.log(xp.where(zero, 1, base)))

    if isinstance(y, (int, float)):
        out = x * x if y == 2 else x**y
    elif y.dtype.kind == "i" and y.size and bool((y < 0).any()):
        whole = xp.where(xp.abs(x) == 1, x ** (y % 2), 0)  # the rest have fractions
        out = xp.where(y < 0, whole, x ** xp.maximum(y, 0)).astype(y.dtype)
    else:
        out = x**y
    return out, (grad_x, grad_y)


@exact_op
def neg(x: Array):
    """-x"""
    return -x, (lambda g: -g,)


@exact_op
def abs(x: Array):
    """|x|; the gradient at 0, and at NaN, is 0."""
    xp = array_module(x)
    return xp.abs(x), (lambda g: g * xp.where(x == x, xp.sign(x), 0),)


@op
def reciprocal(x: Array):
    """1 / x"""
    out = 1 / x
    return out, (lambda g: -g * out * out,)


@op
def square(x: Array):
    """x * x"""
    return x * x, (lambda g: g * x * 2,)


@op
def copysign(x: Array, y: Array):
    """The size of x with the sign of y; no gradient where x is 0, nor for y."""
    xp = array_module(x)
    out = xp.copysign(x, y)
    return out, (lambda g: g * xp.where(x == 0, 0, out / x), lambda g: xp.zeros_like(g))


@op
def xlogy(x: Array, y: Array):
    """x * log(y); 0 where x is 0, unless y is NaN."""
    xp = array_module(x)
    out = xp.where((x == 0) & (y == y), 0, x * xp.log(y))
    return out, (
        lambda g: xp.where((x == 0) & (y <= 0), 0, g * xp.log(y)),
        lambda g: g * x / y,
    )


@op
def xlog1py(x: Array, y: Array):
    """x * log(1 + y); 0 where x is 0, unless y is NaN."""
    xp = array_module(x)
    out = xp.where((x == 0) & (y == y), 0, x * xp.log1p(y))
    return out, (
        lambda g: xp.where((x == 0) & (y <= -1), 0, g * xp.log1p(y)),
        lambda g: g * x / (1 + y),
    )


@op
def exp(x: Array):
    """e ** x"""
    out = array_module(x).exp(x)
    return out, (lambda g: g * out,)


@op
def exp2(x: Array):
    """2 ** x"""
    out = array_module(x).exp2(x)
    return out, (lambda g: g * out * math.log(2),)


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
def logit(x: Array, *, eps: float | None = None):
    """log(x / (1 - x)), the inverse of the logistic function; eps limits x to [eps, 1 - eps]."""
    xp = array_module(x)
    z = x if eps is None else xp.clip(x, eps, 1 - eps)

    def grad_x(g):
        slope = g / (x * (1 - x))
        low, high = (0, 1) if eps is None else (eps, 1 - eps)
        beyond = math.nan if eps is None else 0
        return xp.where((x < low) | (x > high), beyond, slope).astype(g.dtype)

    return xp.log(z / (1 - z)), (grad_x,)


@op
def logaddexp(x: Array, y: Array):
    """log(exp(x) + exp(y)), without overflow."""
    xp = array_module(x, y)
    out = xp.logaddexp(x, y)
    return out, (lambda g: g / (1 + xp.exp(y - x)), lambda g: g / (1 + xp.exp(x - y)))


@op
def logaddexp2(x: Array, y: Array):
    """log2(2 ** x + 2 ** y), without overflow."""
    xp = array_module(x, y)
    out = xp.logaddexp2(x, y)
    return out, (lambda g: g / (1 + xp.exp2(y - x)), lambda g: g / (1 + xp.exp2(x - y)))


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
def maximum(x: Array, y: Array):
    """The larger of each pair; where they are equal each gets half of the gradient."""
    xp = array_module(x, y)

    def share(g, mine, other):
        return g * (1 - (mine < other) - (mine == other) * 0.5).astype(g.dtype)

    return xp.maximum(x, y), (lambda g: share(g, x, y), lambda g: share(g, y, x))


@op
def minimum(x: Array, y: Array):
    """The smaller of each pair; where they are equal each gets half of the gradient."""
    xp = array_module(x, y)

    def share(g, mine, other):
        return g * (1 - (mine > other) - (mine == other) * 0.5).astype(g.dtype)

    return xp.minimum(x, y), (lambda g: share(g, x, y), lambda g: share(g, y, x))


@op
def fmax(x: Array, y: Array):
    """The larger of each pair, of a NaN and a number the number; x where they are equal."""
    xp = array_module(x, y)
    return xp.fmax(x, y), (
        lambda g: g * ((x >= y) | (y != y)),
        lambda g: g * ((y > x) | ((x != x) & (y == y))),
    )


@op
def fmin(x: Array, y: Array):
    """The smaller of each pair, of a NaN and a number the number; x where they are equal."""
    xp = array_module(x, y)
    return xp.fmin(x, y), (
        lambda g: g * ((x <= y) | (y != y)),
        lambda g: g * ((y < x) | ((x != x) & (y == y))),
    )


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
def clamp_min(x: Array, y: Array):
    """x, at least y; where they are equal x gets the gradient."""
    return array_module(x, y).maximum(x, y), (lambda g: g * (x >= y), lambda g: g * (x < y))


@op
def clamp_max(x: Array, y: Array):
    """x, at most y; where they are equal x gets the gradient."""
    return array_module(x, y).minimum(x, y), (lambda g: g * (x <= y), lambda g: g * (x > y))


@op
def nan_to_num(x: Array, *, nan: float, posinf: float, neginf: float):
    """x with numbers in place of NaN and the infinities; no gradient goes there."""
    xp = array_module(x)
    out = xp.where(x == math.inf, posinf, xp.where(x == -math.inf, neginf, x))
    return xp.where(x == x, out, nan), (lambda g: xp.where(xp.isfinite(x), g, 0),)


@exact_op
def cast(x: Array, *, dtype: np.dtype):
    """x as another dtype; always a copy."""
    return x.astype(dtype), (lambda g: g,) if is_floating(dtype) else ()


@exact_op
def clone(x: Array):
    """A copy of x."""
    return x.copy(), (lambda g: g,)


@exact_op
def to_device(x: Array, *, move):
    """x where `move` brings it; the gradient goes back to the device of x."""
    source = device_of(x)

    def grad_x(g):
        def back(array):
            return move_array(array, source)

        return array_module(g).to_device(g, move=back) if is_traced(g) else back(g)

    return move(x), (grad_x,)
