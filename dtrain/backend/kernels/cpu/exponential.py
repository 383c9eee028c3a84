"""exp, expm1 and log1p by arithmetic that the compiler turns into vector code; the C library's take
one number.

exp(x) = 2^n exp(r), with |r| <= log(2) / 2 (Moshier, Cephes: expf, exp).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.bits import from_bits
from dtrain.backend.kernels.cpu.compiler import choose_by_width, inlined

_F = np.float32

# exp(r) = 1 + r + r^2 P(r). 2^n is 0 for _LOWEST, instead of a denormal, and infinity for _HIGHEST.
_LOWEST_F, _HIGHEST_F, _LOG2_E_F = _F(-88), _F(88.5), _F(1.44269504)
_LN_2_HIGH_F, _LN_2_LOW_F = _F(0.693359375), _F(-2.12194440e-4)  # n * _LN_2_HIGH is exact
_P0, _P1, _P2 = _F(1.9875691500e-4), _F(1.3981999507e-3), _F(8.3334519073e-3)
_P3, _P4, _P5 = _F(4.1665795894e-2), _F(1.6666665459e-1), _F(5.0000001201e-1)
_ONE_F, _TWO_F, _SHIFT_F = _F(1), _F(2), _F(256.5)


@inlined
def _parts_float32(x: Any) -> Any:
    """2^n and exp(r) - 1, with x = n log(2) + r."""
    limited = x if x > _LOWEST_F else _LOWEST_F  # for NaN, too
    limited = limited if limited < _HIGHEST_F else _HIGHEST_F
    # the conversion rounds down, since the sum is positive; Numba's difference is an int64, which
    # AVX2 cannot convert to float32 in vectors
    n = np.int32(np.int32(limited * _LOG2_E_F + _SHIFT_F) - 256)
    r = limited - _F(n) * _LN_2_HIGH_F - _F(n) * _LN_2_LOW_F
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    return from_bits(np.int32((n + 127) << 23)), p * r * r + r


@inlined
def _exp_float32(x: Any) -> Any:
    two_to_n, rest = _parts_float32(x)
    y = (rest + _ONE_F) * two_to_n
    return x if x != x else y


@inlined
def _expm1_float32(x: Any) -> Any:
    two_to_n, rest = _parts_float32(x)
    y = rest * two_to_n + (two_to_n - _ONE_F)
    return x if x != x else y


# exp(r) = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2))
_LOWEST, _HIGHEST, _LOG2_E = -709.0, 709.5, 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
_N0, _N1, _N2 = 1.26177193074810590878e-4, 3.02994407707441961300e-2, 9.99999999999999999910e-1
_M0, _M1 = 3.00198505138664455042e-6, 2.52448340349684104192e-3
_M2, _M3 = 2.27265548208155028766e-1, 2.00000000000000000005


@inlined
def _parts_float64(x: Any) -> Any:
    """2^n and exp(r) - 1, with x = n log(2) + r."""
    limited = x if x > _LOWEST else _LOWEST
    limited = limited if limited < _HIGHEST else _HIGHEST
    n = np.int64(limited * _LOG2_E + 2048.5) - 2048
    r = limited - n * _LN_2_HIGH - n * _LN_2_LOW
    s = r * r
    p = r * ((_N0 * s + _N1) * s + _N2)
    q = ((_M0 * s + _M1) * s + _M2) * s + _M3
    return from_bits((n + 1023) << 52), 2.0 * (p / (q - p))


@inlined
def _exp_float64(x: Any) -> Any:
    two_to_n, rest = _parts_float64(x)
    y = (rest + 1.0) * two_to_n
    return x if x != x else y


@inlined
def _expm1_float64(x: Any) -> Any:
    two_to_n, rest = _parts_float64(x)
    y = rest * two_to_n + (two_to_n - 1.0)
    return x if x != x else y


# log(1 + u) = 2 artanh(u / (2 + u)) = 2 (s + s^3 / 3 + s^5 / 5 + ...), s <= 1/3
_S3, _S5, _S7, _S9 = _F(1 / 3), _F(1 / 5), _F(1 / 7), _F(1 / 9)
_S11, _S13, _S15 = _F(1 / 11), _F(1 / 13), _F(1 / 15)


@inlined
def _log1p_float32(u: Any) -> Any:
    s = u / (_TWO_F + u)
    z = s * s
    p = (((((_S15 * z + _S13) * z + _S11) * z + _S9) * z + _S7) * z + _S5) * z + _S3
    return _TWO_F * (s + s * z * p)


@inlined
def _log1p_float64(u: Any) -> Any:
    s = u / (2.0 + u)
    z = s * s
    p = 1 / 33
    p = ((p * z + 1 / 31) * z + 1 / 29) * z + 1 / 27
    p = ((p * z + 1 / 25) * z + 1 / 23) * z + 1 / 21
    p = ((p * z + 1 / 19) * z + 1 / 17) * z + 1 / 15
    p = ((p * z + 1 / 13) * z + 1 / 11) * z + 1 / 9
    p = ((p * z + 1 / 7) * z + 1 / 5) * z + 1 / 3
    return 2.0 * (s + s * z * p)


def exp(x: Any) -> Any:
    """e ** x of a float32 or float64 number; 0 where it is below the smallest normal number, and
    infinity a little below the largest."""
    raise NotImplementedError("only compiled functions can call exp")


def expm1(x: Any) -> Any:
    """e ** x - 1 of a float32 or float64 number, exact near 0."""
    raise NotImplementedError("only compiled functions can call expm1")


def log1p(x: Any) -> Any:
    """log(1 + x) of a float32 or float64 number in [0, 1]; NaN for NaN."""
    raise NotImplementedError("only compiled functions can call log1p")


choose_by_width(exp, _exp_float32, _exp_float64)
choose_by_width(expm1, _expm1_float32, _expm1_float64)
choose_by_width(log1p, _log1p_float32, _log1p_float64)
