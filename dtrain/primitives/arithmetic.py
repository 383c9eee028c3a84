"""Elementwise arithmetic, powers, exponentials, logarithms and limits.

Operands are arrays, or Python numbers, which do not decide the dtype; outputs broadcast.
"""

from __future__ import annotations

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


@op(takes_complex=True, takes_halves=True)
def add(x: Array, y: Array) -> OutputAndVJPs:
    """x + y"""
    return x + y, (lambda g: g, lambda g: g)


@op(takes_complex=True, takes_halves=True)
def sub(x: Array, y: Array) -> OutputAndVJPs:
    """x - y"""
    return x - y, (lambda g: g, lambda g: -g)


@op(takes_complex=True, takes_halves=True)
def mul(x: Array, y: Array) -> OutputAndVJPs:
    """x * y"""
    return x * y, (lambda g: g * y, lambda g: g * x)


@op(takes_complex=True, takes_halves=True)
def div(x: Array, y: Array) -> OutputAndVJPs:
    """x / y"""
    return x / y, (lambda g: g / y, lambda g: -g * (x / y / y))  # y * y may overflow


@op(takes_complex=True)
def pow(x: Array, y: Array) -> OutputAndVJPs:
    """x ** y"""
    xp = array_module(x, y)

    def grad_x(g: Array) -> Array:
        if isinstance(y, (int, float, complex)):
            return xp.zeros_like(g) if y == 0 else g * (x if y == 2 else _power(x, y - 1)) * y
        return g * xp.where(y == 0, 0, y * x ** xp.where(y == 0, 1, y - 1))

    def grad_y(g: Array) -> Array:
        base = xp.asarray(x, out.dtype)
        zero = (base == 0) & (y.real >= 0)
        return g * xp.where(zero, 0, out * xp.log(xp.where(zero, 1, base)))

    out = _power(x, y)
    return out, (grad_x, grad_y)


def _power(x: Array, y: Array) -> Array:
    if isinstance(y, (int, float, complex)):
        if y in (2, 3) and not isinstance(y, bool):  # many times as fast as powers
            return x * x if y == 2 else x * x * x
        return x**y
    if y.dtype.kind == "i" and y.size and bool((y < 0).any()):
        xp = array_module(x, y)
        whole = xp.where(xp.abs(x) == 1, x ** (y % 2), 0)  # the rest have fractions
        return xp.where(y < 0, whole, x ** xp.maximum(y, 0)).astype(y.dtype)
    return x**y


@op(takes_complex=True)
def lerp(x: Array, y: Array, weight: Array) -> OutputAndVJPs:
    """x + weight * (y - x), computed from the nearer end: with weight 1 it is y exactly."""

    def from_x() -> Array:
        return x + weight * (y - x)

    def from_y() -> Array:
        return y - (y - x) * (1 - weight)

    if isinstance(weight, (int, float)):
        out = from_x() if -0.5 < weight < 0.5 else from_y()
    else:
        xp = array_module(weight)
        out = xp.where(xp.abs(weight) < 0.5, from_x(), from_y())
    return out, (lambda g: g * (1 - weight), lambda g: g * weight, lambda g: g * (y - x))


@exact_op(takes_complex=True)
def neg(x: Array) -> OutputAndVJPs:
    """-x"""
    return -x, (lambda g: -g,)


@exact_op
def abs(x: Array) -> OutputAndVJPs:
    """|x|; the gradient at 0, and at NaN, is 0."""
    xp = array_module(x)
    return xp.abs(x), (lambda g: g * xp.where(x == x, xp.sign(x), 0),)


@op(takes_complex=True)
def reciprocal(x: Array) -> OutputAndVJPs:
    """1 / x"""
    out = 1 / x
    return out, (lambda g: -g * out * out,)


@op(takes_complex=True)
def square(x: Array) -> OutputAndVJPs:
    """x * x"""
    return x * x, (lambda g: g * x * 2,)


@op
def copysign(x: Array, y: Array) -> OutputAndVJPs:
    """The size of x with the sign of y; no gradient where x is 0, nor for y."""
    xp = array_module(x)
    out = xp.copysign(x, y)
    return out, (lambda g: g * xp.where(x == 0, 0, out / x), lambda g: xp.zeros_like(g))


@op(takes_complex=True)
def sqrt(x: Array) -> OutputAndVJPs:
    """The square root."""
    out = array_module(x).sqrt(x)
    return out, (lambda g: g / (2 * out),)


@op
def safe_sqrt(x: Array) -> OutputAndVJPs:
    """The square root of a sum of squares; the gradient at 0 is 0, not infinite."""
    xp = array_module(x)
    out = xp.sqrt(x)
    return out, (lambda g: g * xp.where(out == 0, 0, 0.5 / out),)


@op(takes_complex=True)
def rsqrt(x: Array) -> OutputAndVJPs:
    """1 / sqrt(x)"""
    out = 1 / array_module(x).sqrt(x)
    return out, (lambda g: g * (-0.5) * out * out * out,)
