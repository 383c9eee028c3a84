"""The error function as array code: NumPy has none."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module

# Rational approximations of erf, lowest power first, by Sun Microsystems (fdlibm, s_erf.c):
# (numerator, denominator) for |x| < 0.84375, < 1.25, < 1 / 0.35, and beyond.
NEAR = (
    (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
     -5.77027029648944159157e-03, -2.37630166566501626084e-05),
    (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
     1.32494738004321644526e-04, -3.96022827877536812320e-06),
)  # fmt: skip
MIDDLE = (
    (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
     3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02,
     -2.16637559486879084300e-03),
    (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
     1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02),
)  # fmt: skip
FAR = (
    (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01,
     -6.23753324503260060396e+01, -1.62396669462573470355e+02, -1.84605092906711035994e+02,
     -8.12874355063065934246e+01, -9.81432934416914548592e+00),
    (1.0, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02,
     6.45387271733267880336e+02, 4.29008140027567833386e+02, 1.08635005541779435134e+02,
     6.57024977031928170135e+00, -6.04244152148580987438e-02),
)  # fmt: skip
FARTHER = (
    (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01,
     -1.60636384855821916062e+02, -6.37566443368389627722e+02, -1.02509513161107724954e+03,
     -4.83519191608651397019e+02),
    (1.0, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03,
     3.19985821950859553908e+03, 2.55305040643316442583e+03, 4.74528541206955367215e+02,
     -2.24409524465858183362e+01),
)  # fmt: skip
# In float32 one ratio of x P(x^2) / Q(x^2) on |x| <= 4 is exact enough, and much faster (Eigen,
# MathFunctionsImpl.h, generic_fast_erf_float).
FLOAT32 = (
    (-1.60960333262415e-02, -2.95459980854025e-03, -7.34990630326855e-04, -5.69250639462346e-05,
     -2.10102402082508e-06, 2.77068142495902e-08, -2.72614225801306e-10),
    (-1.42647390514189e-02, -7.37332916720468e-03, -1.68282697438203e-03, -2.13374055278905e-04,
     -1.45660718464996e-05),
)  # fmt: skip
_AT_ONE = 8.45062911510467529297e-01


def ratio(x: Array, polynomials: tuple[tuple[float, ...], ...]) -> Array:
    """The quotient of two polynomials of x."""
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


def erf(x: Array) -> Array:
    """The error function of an array, within rounding of its dtype."""
    xp = array_module(x)
    if x.dtype.itemsize < 4:  # the coefficients are too small for half precision
        return erf(x.astype(xp.float32)).astype(x.dtype)
    if x.dtype.itemsize < 8:
        x = x.clip(-4, 4)
        return x * ratio(x * x, FLOAT32)
    z = xp.abs(x)
    near = x + x * ratio(xp.minimum(z, 1) ** 2, NEAR)
    middle = _AT_ONE + ratio(xp.clip(z - 1, -0.2, 0.3), MIDDLE)
    w = xp.clip(z, 1, 7)  # erf(6) is 1 in float64
    s = 1 / (w * w)
    tail = xp.where(w < 1 / 0.35, ratio(s, FAR), ratio(s, FARTHER))
    far = 1 - xp.exp(-w * w - 0.5625 + tail) / w
    return xp.where(z < 0.84375, near, xp.sign(x) * xp.where(z < 1.25, middle, far))
