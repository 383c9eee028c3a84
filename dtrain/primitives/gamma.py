"""The logarithm of the gamma function and its derivatives."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.autograd.tensor import is_recorded
from dtrain.backend import Array, array_module

# B(2k) / (2k (2k - 1)) and B(2k) / (2k) of the Bernoulli numbers, for k = 1, 2, ...
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
# B(2k) / (2k)!
_ZETA = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)
_SHIFT = 10  # beyond it the asymptotic series are exact


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    value = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        value = (value + c) * x
    return value + coefficients[0]


def _log_gamma(x: Array) -> Array:
    xp = array_module(x)
    mirrored = x < 0.5
    y = xp.where(mirrored, 1 - x, x)
    product = y
    for k in range(1, _SHIFT):
        product = product * (y + k)
    small = y < _SHIFT
    z = xp.where(small, y + _SHIFT, y)
    series = _polynomial(_STIRLING, 1 / (z * z)) / z
    value = (z - 0.5) * (xp.log(z) - 1) - 0.5 + math.log(2 * math.pi) / 2 + series
    value = value - xp.where(small, xp.log(xp.where(small, product, 1)), 0)
    value = xp.where(xp.isinf(x), math.inf, value)
    sine = xp.sin(math.pi * (x - xp.floor(x)))
    reflected = math.log(math.pi) - xp.log(sine) - value
    pole = (x <= 0) & (x == xp.floor(x))
    return xp.where(pole, math.inf, xp.where(mirrored, reflected, value))


def _digamma(x: Array) -> Array:
    xp = array_module(x)
    y = xp.where(x <= 0, 1 - x, x)
    earlier = 1 / y
    for k in range(1, _SHIFT):
        earlier = earlier + 1 / (y + k)
    z = y + _SHIFT
    inverse = 1 / (z * z)
    value = xp.log(z) - 0.5 / z - _polynomial(_DIGAMMA, inverse) * inverse - earlier
    whole = x == xp.floor(x)
    turn = xp.where(x <= 0, x - xp.floor(x), 0.5) * math.pi
    reflected = value - math.pi / xp.tan(xp.where(whole, 0.5, turn))
    reflected = xp.where(whole, math.nan, reflected)
    reflected = xp.where(x == 0, xp.copysign(math.inf, -x), reflected)
    return xp.where(x <= 0, reflected, value)


def _zeta(s: int, x: Array) -> Array:
    """Hurwitz's zeta function of x > 0, the sum of (x + k) ** -s, by Euler and Maclaurin."""
    value = x ** (-s)
    for k in range(1, _SHIFT):
        value = value + (x + k) ** (-s)
    z = x + _SHIFT
    value = value + z ** (1 - s) / (s - 1) + 0.5 * z ** (-s)
    factor = float(s)
    for k, c in enumerate(_ZETA):
        value = value + c * factor * z ** (-s - 2 * k - 1)
        factor *= (s + 2 * k + 1) * (s + 2 * k + 2)
    return value


def _cotangent(n: int, x: Array) -> Array:
    """The derivative of order n of pi / tan(pi x): a polynomial of the cotangent."""
    xp = array_module(x)
    powers = [0.0, 1.0]
    for _ in range(n):  # d/dx c = -pi (1 + c * c)
        slopes = [-k * power for k, power in enumerate(powers)][1:]
        powers = [
            (slopes[k] if k < len(slopes) else 0) + (slopes[k - 2] if k >= 2 else 0)
            for k in range(len(powers) + 1)
        ]
    c = 1 / xp.tan((x - xp.floor(x)) * math.pi)
    value = c * powers[-1]
    for power in powers[-2:0:-1]:
        value = (value + power) * c
    return (value + powers[0]) * math.pi ** (n + 1)


def _polygamma(n: int, x: Array) -> Array:
    if is_recorded(x):
        return array_module(x).polygamma(x, n=n)
    if n == 0:
        return _digamma(x)
    xp = array_module(x)
    mirrored = x <= 0
    sign = (-1) ** (n + 1)
    value = sign * math.factorial(n) * _zeta(n + 1, xp.where(mirrored, 1 - x, x))
    whole = x == xp.floor(x)
    turn = _cotangent(n, xp.where(mirrored & ~whole, x, 0.5))
    value = xp.where(mirrored, -sign * value - turn, value)
    return xp.where(mirrored & whole, sign * math.inf, value)


@op
def lgamma(x: Array):
    """log |gamma(x)|"""
    out = _log_gamma(x.astype("float64")).astype(x.dtype)
    return out, (lambda g: g * _polygamma(0, x),)


@op
def polygamma(x: Array, *, n: int):
    """The derivative of order n + 1 of log(gamma(x))."""
    out = _polygamma(n, x.astype("float64")).astype(x.dtype)
    return out, (lambda g: g * _polygamma(n + 1, x),)
