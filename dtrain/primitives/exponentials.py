"""Exponentials and logarithms."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


@op
def xlogy(x: Array, y: Array) -> OutputAndVJPs:
    """x * log(y); 0 where x is 0, unless y is NaN."""
    xp = array_module(x)
    out = xp.where((x == 0) & (y == y), 0, x * xp.log(y))
    return out, (
        lambda g: xp.where((x == 0) & (y <= 0), 0, g * xp.log(y)),
        lambda g: g * x / y,
    )


@op(takes_complex=True)
def exp(x: Array) -> OutputAndVJPs:
    """e ** x"""
    out = array_module(x).exp(x)
    return out, (lambda g: g * out,)


@op
def exp2(x: Array) -> OutputAndVJPs:
    """2 ** x"""
    out = array_module(x).exp2(x)
    return out, (lambda g: g * out * math.log(2),)


@op(takes_complex=True)
def expm1(x: Array) -> OutputAndVJPs:
    """e ** x - 1, exact near 0."""
    out = array_module(x).expm1(x)
    return out, (lambda g: g * (out + 1),)


@op(takes_complex=True)
def log(x: Array) -> OutputAndVJPs:
    """The natural logarithm."""
    return array_module(x).log(x), (lambda g: g / x,)


@op(takes_complex=True)
def log2(x: Array) -> OutputAndVJPs:
    """The logarithm to base 2."""
    return array_module(x).log2(x), (lambda g: g / (x * math.log(2)),)


@op(takes_complex=True)
def log10(x: Array) -> OutputAndVJPs:
    """The logarithm to base 10."""
    return array_module(x).log10(x), (lambda g: g / (x * math.log(10)),)


@op(takes_complex=True)
def log1p(x: Array) -> OutputAndVJPs:
    """log(1 + x), exact near 0."""
    return array_module(x).log1p(x), (lambda g: g / (x + 1),)


@op
def logit(x: Array, *, eps: float | None = None) -> OutputAndVJPs:
    """log(x / (1 - x)), the inverse of the logistic function; eps limits x to [eps, 1 - eps]."""
    xp = array_module(x)
    z = x if eps is None else xp.clip(x, eps, 1 - eps)

    def grad_x(g: Array) -> Array:
        slope = g / (x * (1 - x))
        low, high = (0, 1) if eps is None else (eps, 1 - eps)
        beyond = math.nan if eps is None else 0
        return xp.where((x >= low) & (x <= high), slope, beyond).astype(g.dtype)

    return xp.log(z / (1 - z)), (grad_x,)


@op
def logaddexp(x: Array, y: Array) -> OutputAndVJPs:
    """log(exp(x) + exp(y)), without overflow."""
    xp = array_module(x, y)
    out = xp.logaddexp(x, y)
    return out, (lambda g: g / (1 + xp.exp(y - x)), lambda g: g / (1 + xp.exp(x - y)))


@op
def logaddexp2(x: Array, y: Array) -> OutputAndVJPs:
    """log2(2 ** x + 2 ** y), without overflow."""
    xp = array_module(x, y)
    out = xp.logaddexp2(x, y)
    return out, (lambda g: g / (1 + xp.exp2(y - x)), lambda g: g / (1 + xp.exp2(x - y)))
