"""Special functions that NumPy has not."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module

# Rational approximations of erf, lowest power first, by Sun Microsystems (fdlibm, s_erf.c):
# (numerator, denominator) for |x| < 0.84375, < 1.25, < 1 / 0.35, and beyond.
_NEAR = (
    (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
     -5.77027029648944159157e-03, -2.37630166566501626084e-05),
    (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
     1.32494738004321644526e-04, -3.96022827877536812320e-06),
)  # fmt: skip
_MIDDLE = (
    (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
     3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
     -2.16637559486879084300e-03),
    (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
     1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02),
)  # fmt: skip
_FAR = (
    (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
     -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
     -8.12874355063065934246e+01, -9.81432934416914548592e+00),
    (1.0, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02,
     6.45387271733267880336e+02, 4.29008140027567833386e+02, 1.08635005541779435134e+02,
     6.57024977031928170135e+00, -6.04244152148580987438e-02),
)  # fmt: skip
_FARTHER = (
    (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
     -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
     -4.83519191608651397019e+02),
    (1.0, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03,
     3.19985821950859553908e+03, 2.55305040643316442583e+03, 4.74528541206955367215e+02,
     -2.24409524465858183362e+01),
)  # fmt: skip
# In float32 one ratio of x P(x^2) / Q(x^2) on |x| <= 4 is exact enough, and much faster (Eigen,
# MathFunctionsImpl.h, generic_fast_erf_float).
_FLOAT32 = (
    (-1.60960333262415e-02, -2.95459980854025e-03, -7.34990630326855e-04, -5.69250639462346e-05,
     -2.10102402082508e-06, 2.77068142495902e-08, -2.72614225801306e-10),
    (-1.42647390514189e-02, -7.37332916720468e-03, -1.68282697438203e-03, -2.13374055278905e-04,
     -1.45660718464996e-05),
)  # fmt: skip
_ERF_ONE = 8.45062911510467529297e-01


def _ratio(x: Array, polynomials: tuple[tuple[float, ...], ...]) -> Array:
    values = []
    for *rest, second, first in polynomials:
        value = x * first
        value += second
        for c in reversed(rest):
            value *= x
            value += c
        values.append(value)
    values[0] /= values[1]
    return values[0]


def erf_array(x: Array) -> Array:
    """The error function of an array, within rounding of its dtype."""
    xp = array_module(x)
    if x.dtype.itemsize < 4:  # the coefficients are too small for half precision
        return erf_array(x.astype(xp.float32)).astype(x.dtype)
    if x.dtype.itemsize < 8:
        x = x.clip(-4, 4)
        return x * _ratio(x * x, _FLOAT32)
    z = xp.abs(x)
    near = x + x * _ratio(xp.minimum(z, 1) ** 2, _NEAR)
    middle = _ERF_ONE + _ratio(xp.clip(z - 1, -0.2, 0.3), _MIDDLE)
    w = xp.clip(z, 1, 7)  # erf(6) is 1 in float64
    s = 1 / (w * w)
    tail = xp.where(w < 1 / 0.35, _ratio(s, _FAR), _ratio(s, _FARTHER))
    far = 1 - xp.exp(-w * w - 0.5625 + tail) / w
    return xp.where(z < 0.84375, near, xp.sign(x) * xp.where(z < 1.25, middle, far))


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
    tail = xp.where(w < 1 / 0.35, _ratio(s, _FAR), _ratio(s, _FARTHER))
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
    near = size * _ratio(xp.minimum(size, 0.7) ** 2, _INVERSE_NEAR)
    far = _ratio(xp.sqrt(-xp.log((1 - xp.maximum(size, 0.7)) / 2)), _INVERSE_FAR)
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
