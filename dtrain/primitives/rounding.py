"""Rounding, whole quotients and what they leave, signs."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_floating


@op
def sign(x: Array) -> OutputAndVJPs:
    """-1, 0 or 1; 0 for NaN. The gradient is 0."""
    xp = array_module(x)
    positive = x > 0
    if x.dtype.kind == "b":
        return positive, ()
    out = positive.astype(x.dtype) - (x < 0).astype(x.dtype)
    return out, (lambda g: xp.zeros_like(g),)


@op
def heaviside(x: Array, y: Array) -> OutputAndVJPs:
    """0 where x is negative, 1 where it is positive, y where it is 0."""
    xp = array_module(x)
    out = xp.where(x == 0, y, (x > 0).astype(x.dtype))
    return out, ()


def _round_by(name: str, text: str) -> Callable[[Array], Tensor]:
    def rule(x: Array) -> OutputAndVJPs:
        xp = array_module(x)
        whole = x.copy() if x.dtype.kind in "biu" else getattr(xp, name)(x)
        return whole, (lambda g: xp.zeros_like(g),)

    rule.__name__, rule.__doc__ = name, f"{text} The gradient is 0."
    return op(rule)


floor = _round_by("floor", "The largest integer not above.")
ceil = _round_by("ceil", "The smallest integer not below.")
trunc = _round_by("trunc", "The integer part, without the fraction.")


@op
def round(x: Array, *, decimals: int = 0) -> OutputAndVJPs:
    """The nearest multiple of 10 ** -decimals; halves to even. The gradient is 0."""
    xp = array_module(x)
    if not is_floating(x.dtype):
        return x.copy(), ()
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    if decimals == 0:
        out = xp.rint(x)
    elif decimals > 0:
        out = xp.rint(x * scale) / scale
    else:
        out = xp.rint(x / scale) * scale
    return out, (lambda g: xp.zeros_like(g),)


@op
def frac(x: Array) -> OutputAndVJPs:
    """x without its integer part."""
    return x - array_module(x).trunc(x), (lambda g: g,)


@op
def floor_divide(x: Array, y: Array) -> OutputAndVJPs:
    """floor(x / y), as Python's // has it. The gradients are 0."""
    xp = array_module(x, y)
    zeros = (lambda g: xp.zeros_like(g),) * 2
    return xp.floor_divide(x, y), zeros


@exact_op
def trunc_divide(x: Array, y: Array) -> OutputAndVJPs:
    """x / y without the fraction. The gradients are 0."""
    xp = array_module(x, y)
    zeros = (lambda g: xp.zeros_like(g),) * 2
    if is_floating(x.dtype):
        return xp.trunc(x / y), zeros
    quotient = xp.floor_divide(x, y)
    return quotient + ((quotient < 0) & (quotient * y != x)), zeros


@op
def remainder(x: Array, y: Array) -> OutputAndVJPs:
    """x - floor(x / y) * y, of the sign of y, as Python's % has it."""
    xp = array_module(x, y)
    return xp.remainder(x, y), (lambda g: g, lambda g: -g * xp.floor_divide(x, y))


@op
def fmod(x: Array, y: Array) -> OutputAndVJPs:
    """x - trunc(x / y) * y, of the sign of x, as C's fmod has it."""
    xp = array_module(x, y)
    return xp.fmod(x, y), (lambda g: g, lambda g: -g * xp.trunc(x / y))


@exact_op
def nextafter(x: Array, y: Array) -> OutputAndVJPs:
    """The next number after x towards y."""
    xp = array_module(x, y)
    return xp.nextafter(x, y), (lambda g: g * (x != y), lambda g: xp.zeros_like(g))


@exact_op
def gcd(x: Array, y: Array) -> OutputAndVJPs:
    """The greatest common divisor."""
    return array_module(x, y).gcd(x, y), ()


@exact_op
def lcm(x: Array, y: Array) -> OutputAndVJPs:
    """The least common multiple."""
    return array_module(x, y).lcm(x, y), ()


@op
def exponent(x: Array) -> OutputAndVJPs:
    """The power of 2 by which a number of size 0.5 to 1 makes x."""
    return array_module(x).frexp(x)[1], ()


@op
def mantissa(x: Array, *, exponent: Array) -> OutputAndVJPs:
    """x / 2 ** exponent; no gradient reaches what is not finite."""
    xp = array_module(x)
    return xp.frexp(x)[0], (lambda g: g * xp.exp2(-exponent.astype(g.dtype)),)
