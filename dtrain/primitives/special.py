"""Special functions: error, gamma, Bessel and entropy functions, computed by SciPy or CuPy."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import is_recorded
from dtrain.backend import Array, array_module


def special_functions(x: Array) -> Any:
    """The special functions for x: scipy.special or cupyx.scipy.special, loaded at first use.

    In double backward the primitives of the same names.
    """
    if is_recorded(x):
        return array_module(x)
    return importlib.import_module(
        "scipy.special" if isinstance(x, (np.ndarray, np.generic)) else "cupyx.scipy.special"
    )


# --- error functions ---


@op
def erf(x: Array) -> OutputAndVJPs:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    xp = array_module(x)
    return special_functions(x).erf(x), (lambda g: g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x),)


@op
def erfc(x: Array) -> OutputAndVJPs:
    """1 - erf(x), exact where that is small."""
    xp = array_module(x)
    return special_functions(x).erfc(x), (lambda g: g * (-2 / math.sqrt(math.pi)) * xp.exp(-x * x),)


@op
def erfinv(x: Array) -> OutputAndVJPs:
    """The inverse of erf."""
    xp = array_module(x)
    out = special_functions(x).erfinv(x)
    return out, (lambda g: g * (math.sqrt(math.pi) / 2) * xp.exp(out * out),)


# --- the gamma function ---


@op
def lgamma(x: Array) -> OutputAndVJPs:
    """log |gamma(x)|"""
    return special_functions(x).gammaln(x), (lambda g: g * _polygamma(x, 0),)


@op
def polygamma(x: Array, *, n: int) -> OutputAndVJPs:
    """The derivative of order n + 1 of log(gamma(x))."""
    return _polygamma(x, n), (lambda g: g * _polygamma(x, n + 1),)


def _polygamma(x: Array, n: int) -> Array:
    if is_recorded(x):
        return array_module(x).polygamma(x, n=n)
    functions = special_functions(x)
    if n == 0:
        return functions.digamma(x)
    return (-1) ** (n + 1) * math.factorial(n) * functions.zeta(n + 1.0, x)


@op
def gammainc(a: Array, x: Array) -> OutputAndVJPs:
    """The regularized lower incomplete gamma function: the gamma distribution's function at x."""
    out = special_functions(x).gammainc(a, x)
    return out, (lambda g: g * _gammainc_slope(a, x), lambda g: g * _gamma_density(a, x))


@op
def gammaincc(a: Array, x: Array) -> OutputAndVJPs:
    """1 - gammainc(a, x), exact where that is small."""
    out = special_functions(x).gammaincc(a, x)
    return out, (lambda g: -g * _gammainc_slope(a, x), lambda g: -g * _gamma_density(a, x))


@op
def log_gamma_quantile(a: Array, *, uniform: Array) -> OutputAndVJPs:
    """The log of the x at which gammainc(a, x) is `uniform`, in (0, 1); a and uniform: float64.

    Its gradient is the implicit one: a change of `a` moves x so that gammainc stays the same.
    """
    _refuse_recorded("log_gamma_quantile", a)
    xp, functions = array_module(a), special_functions(a)
    upper = uniform > 0.5
    x = functions.gammaincinv(a, xp.where(upper, 0.5, uniform))
    x = xp.where(upper, functions.gammainccinv(a, xp.where(upper, 1 - uniform, 0.5)), x)
    # Near 0 gammainc(a, x) is x^a / gamma(a + 1), up to a factor of 1 - x, where x may underflow.
    near_zero = (xp.log(uniform) + functions.gammaln(a + 1)) / a
    is_near = near_zero < -40
    log_x = xp.where(is_near, near_zero, xp.log(xp.where(is_near, 1, x)))

    def grad_a(g: Array) -> Array:
        x = xp.exp(log_x)
        log_density = a * log_x - x - functions.gammaln(a)  # of log x
        slope = -_gammainc_slope(a, x) / xp.exp(log_density)
        return g * xp.where(is_near, (functions.digamma(a + 1) - log_x) / a, slope)

    return log_x, (grad_a,)


def _gamma_density(a: Array, x: Array) -> Array:
    """The derivative of gammainc by x."""
    xp, functions = array_module(x), special_functions(x)
    log_gamma = functions.lgamma if is_recorded(x) else functions.gammaln
    return xp.exp(functions.xlogy(a - 1, x) - x - log_gamma(a))


def _gammainc_slope(a: Array, x: Array) -> Array:
    """The derivative of gammainc by a: central differences of fourth order, in float64.

    They are those of the smaller one of gammainc and gammaincc, which has no digits to lose.
    """
    _refuse_recorded("gammainc", a)
    xp, functions = array_module(x), special_functions(x)
    dtype, a, x = (a + x).dtype, a.astype("float64"), x.astype("float64")
    h = 2e-3 * xp.minimum(a, xp.sqrt(a))

    def difference(step: Array) -> Array:
        more, less = a + step, a - step
        lower = functions.gammainc(more, x) - functions.gammainc(less, x)
        upper = functions.gammaincc(less, x) - functions.gammaincc(more, x)
        return xp.where(x < a, lower, upper)

    return ((8 * difference(h) - difference(2 * h)) / (12 * h)).astype(dtype)


def _refuse_recorded(name: str, a: Array) -> None:
    if is_recorded(a):
        raise NotImplementedError(
            f"{name}: second derivatives (create_graph=True) by the first argument are not there"
        )


# --- modified Bessel functions of the first kind ---


def _i0e(x: Array) -> Array:
    return special_functions(x).i0e(x) if _has_scaled_bessel(x) else _scaled_bessel(x, 0)


def _i1e(x: Array) -> Array:
    return special_functions(x).i1e(x) if _has_scaled_bessel(x) else _scaled_bessel(x, 1)


def _has_scaled_bessel(x: Array) -> bool:
    """CuPy's i0e and i1e are exp(-|x|) times i0 and i1, which overflow."""
    return is_recorded(x) or isinstance(x, (np.ndarray, np.generic))


def _scaled_bessel(x: Array, order: int) -> Array:
    """CuPy's i0e or i1e up to |x| = 40; beyond, Hankel's expansion (DLMF 10.40.1)."""
    xp, functions = array_module(x), special_functions(x)
    size = xp.maximum(xp.abs(x), 40)
    term = total = xp.ones_like(size)
    for k in range(1, 13):
        term = term * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k * size)
        total = total + term
    far = total / xp.sqrt(2 * math.pi * size)
    near, far = (functions.i1e(x), far * xp.sign(x)) if order else (functions.i0e(x), far)
    return xp.where(xp.abs(x) < 40, near, far)


@op
def i0(x: Array) -> OutputAndVJPs:
    """The modified Bessel function of order 0."""
    return special_functions(x).i0(x), (lambda g: g * special_functions(x).i1(x),)


@op
def i0e(x: Array) -> OutputAndVJPs:
    """exp(-|x|) i0(x), without overflow."""
    xp = array_module(x)
    out = _i0e(x)
    return out, (lambda g: g * (_i1e(x) - xp.sign(x) * out),)


@op
def i1(x: Array) -> OutputAndVJPs:
    """The modified Bessel function of order 1."""
    out = special_functions(x).i1(x)
    return out, (lambda g: g * _bessel_slope(special_functions(x).i0(x), out, x),)


@op
def i1e(x: Array) -> OutputAndVJPs:
    """exp(-|x|) i1(x), without overflow."""
    xp = array_module(x)
    out = _i1e(x)
    return out, (lambda g: g * _bessel_slope(_i0e(x) - xp.sign(x) * out, out, x),)


def _bessel_slope(zeroth: Array, first: Array, x: Array) -> Array:
    """zeroth - first / x, or its limit 1/2 at x = 0, and at NaN (PyTorch's)."""
    xp = array_module(x)
    at_limit = (x == 0) | (x != x)
    return xp.where(at_limit, 0.5, zeroth - first / xp.where(at_limit, 1, x))


# --- entropies ---


@op
def entr(x: Array) -> OutputAndVJPs:
    """-x * log(x); 0 at 0, minus infinity below."""
    xp = array_module(x)
    return special_functions(x).entr(x), (lambda g: g * (-1 - xp.log(x)),)


@op
def xlog1py(x: Array, y: Array) -> OutputAndVJPs:
    """x * log(1 + y); 0 where x is 0, unless y is NaN."""
    xp = array_module(x)
    out = xp.where((x == 0) & (y == y), 0, x * xp.log1p(y))
    return out, (
        lambda g: xp.where((x == 0) & (y <= -1), 0, g * xp.log1p(y)),
        lambda g: g * x / (1 + y),
    )
