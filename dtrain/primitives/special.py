"""Special functions that NumPy has not."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module
from dtrain.backend.kernels.reference.erf import FAR, FARTHER, erf as erf_array, ratio


@op
def erf(x: Array):
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    xp = array_module(x)
    return erf_array(x), (lambda g: g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x),)


def _erfc_array(x: Array) -> Array:
    """1 - erf(x) of an array in float64, exact where that is small."""
    xp = array_module(x)
    w = xp.clip(xp.abs(x), 1, 28)  # erfc(28) is 0 in float64
    s = 1 / (w * w)
    tail = xp.where(w < 1 / 0.35, ratio(s, FAR), ratio(s, FARTHER))
    far = xp.exp(-w * w - 0.5625 + tail) / w
    return xp.where(xp.abs(x) < 1.25, 1 - erf_array(x), xp.where(x > 0, far, 2 - far))


@op
def erfc(x: Array):
    """1 - erf(x), exact where that is small."""
    xp = array_module(x)
    out = _erfc_array(x.astype("float64")).astype(x.dtype)
    return out, (lambda g: g * (-2 / math.sqrt(math.pi)) * xp.exp(-x * x),)


# Rational approximations of the inverse of erf, lowest power first, for |x| <= 0.7 and beyond, to
# be made exact by two Newton steps (PyTorch, aten/src/ATen/native/Math.h, calc_erfinv).
_INVERSE_NEAR = (
    (0.886226899, -1.645349621, 0.914624893, -0.140543331),
    (1.0, -2.118377725, 1.442710462, -0.329097515, 0.012229801),
)
_INVERSE_FAR = (
    (-1.970840454, -1.624906493, 3.429567803, 1.641345311),
    (1.0, 3.543889200, 1.637067800),
)


def _erfinv_array(y: Array) -> Array:
    """The inverse of erf of an array in float64."""
    xp = array_module(y)
    size = xp.clip(xp.abs(y), 0, 1 - 2.0**-53)
    near = size * ratio(xp.minimum(size, 0.7) ** 2, _INVERSE_NEAR)
    far = ratio(xp.sqrt(-xp.log((1 - xp.maximum(size, 0.7)) / 2)), _INVERSE_FAR)
    x = xp.where(size <= 0.7, near, far)
    for _ in range(2):
        missing = xp.where(size <= 0.7, erf_array(x) - size, (1 - size) - _erfc_array(x))
        x = x - missing / (2 / math.sqrt(math.pi) * xp.exp(-x * x))
    x = xp.where(xp.abs(y) == 1, math.inf, xp.where(xp.abs(y) <= 1, x, math.nan))
    return xp.copysign(x, y)


@op
def erfinv(x: Array):
    """The number of which x is the error function."""
    xp = array_module(x)
    out = _erfinv_array(x.astype("float64")).astype(x.dtype)
    return out, (lambda g: g * (math.sqrt(math.pi) / 2) * xp.exp(out * out),)


@op
def entr(x: Array):
    """-x * log(x); 0 at 0, minus infinity below."""
    xp = array_module(x)
    inside = xp.where(x > 0, x, 1)
    out = xp.where(x < 0, -math.inf, xp.where(x == x, -inside * xp.log(inside), x))
    out = xp.where(x == 0, 0, out)
    return out, (lambda g: g * (-1 - xp.log(x)),)
