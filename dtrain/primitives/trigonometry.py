"""Trigonometric and hyperbolic functions, and their inverses; tanh is an activation."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


@op(takes_complex=True)
def sin(x: Array) -> OutputAndVJPs:
    """The sine of radians."""
    xp = array_module(x)
    return xp.sin(x), (lambda g: g * xp.cos(x),)


@op(takes_complex=True)
def cos(x: Array) -> OutputAndVJPs:
    """The cosine of radians."""
    xp = array_module(x)
    return xp.cos(x), (lambda g: -g * xp.sin(x),)


@op(takes_complex=True)
def tan(x: Array) -> OutputAndVJPs:
    """The tangent of radians."""
    out = array_module(x).tan(x)
    return out, (lambda g: g * (1 + out * out),)


@op(takes_complex=True)
def asin(x: Array) -> OutputAndVJPs:
    """The angle in [-pi/2, pi/2] of which x is the sine."""
    xp = array_module(x)
    return xp.arcsin(x), (lambda g: g / xp.sqrt(1 - x * x),)


@op(takes_complex=True)
def acos(x: Array) -> OutputAndVJPs:
    """The angle in [0, pi] of which x is the cosine."""
    xp = array_module(x)
    return xp.arccos(x), (lambda g: -g / xp.sqrt(1 - x * x),)


@op(takes_complex=True)
def atan(x: Array) -> OutputAndVJPs:
    """The angle in (-pi/2, pi/2) of which x is the tangent."""
    return array_module(x).arctan(x), (lambda g: g / (1 + x * x),)


@op
def atan2(x: Array, y: Array) -> OutputAndVJPs:
    """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0."""
    xp = array_module(x)

    def share(g: Array, other: Array) -> Array:
        square = x * x + y * y
        return g * xp.where(square == 0, 0, other / square)

    return xp.arctan2(x, y), (lambda g: share(g, y), lambda g: share(g, -x))


@op
def hypot(x: Array, y: Array) -> OutputAndVJPs:
    """sqrt(x * x + y * y), without overflow."""
    out = array_module(x).hypot(x, y)
    return out, (lambda g: g * (x / out), lambda g: g * (y / out))


@op(takes_complex=True)
def sinh(x: Array) -> OutputAndVJPs:
    """The hyperbolic sine."""
    xp = array_module(x)
    return xp.sinh(x), (lambda g: g * xp.cosh(x),)


@op(takes_complex=True)
def cosh(x: Array) -> OutputAndVJPs:
    """The hyperbolic cosine."""
    xp = array_module(x)
    return xp.cosh(x), (lambda g: g * xp.sinh(x),)


@op(takes_complex=True)
def asinh(x: Array) -> OutputAndVJPs:
    """The number of which x is the hyperbolic sine."""
    xp = array_module(x)

    def grad_x(g: Array) -> Array:
        return g / (xp.sqrt(x * x + 1) if x.dtype.kind == "c" else xp.hypot(x, 1))

    return xp.arcsinh(x), (grad_x,)


@op(takes_complex=True)
def acosh(x: Array) -> OutputAndVJPs:
    """The number of which x, at least 1, is the hyperbolic cosine."""
    xp = array_module(x)

    def grad_x(g: Array) -> Array:
        if x.dtype.kind == "c":
            return g / (xp.sqrt(x - 1) * xp.sqrt(x + 1))
        return g / xp.sqrt(x * x - 1)

    return xp.arccosh(x), (grad_x,)


@op(takes_complex=True)
def atanh(x: Array) -> OutputAndVJPs:
    """The number of which x is the hyperbolic tangent."""
    return array_module(x).arctanh(x), (lambda g: g / (1 - x * x),)


@op
def sinc(x: Array) -> OutputAndVJPs:
    """sin(pi x) / (pi x), 1 at 0."""
    xp = array_module(x)

    def grad_x(g: Array) -> Array:
        turn = x * math.pi
        slope = (turn * xp.cos(turn) - xp.sin(turn)) / (turn * x)
        return g * xp.where(x == 0, 0, slope)

    return xp.sinc(x), (grad_x,)


@op
def deg2rad(x: Array) -> OutputAndVJPs:
    """Degrees in radians."""
    return x * (math.pi / 180), (lambda g: g * (math.pi / 180),)


@op
def rad2deg(x: Array) -> OutputAndVJPs:
    """Radians in degrees."""
    return x * (180 / math.pi), (lambda g: g * (180 / math.pi),)
