"""exp by arithmetic that the compiler turns into vector code; the C library's takes one number.

exp(x) = 2^n exp(r), with |r| <= log(2) / 2 (Moshier, Cephes: expf, exp).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from dtrain.backend.kernels.cpu.compiler import inlined

_F, _D = np.float32, np.float64

# exp(r) = 1 + r + r^2 P(r); below _LOWEST exp is 0, above _HIGHEST infinity.
_LOWEST_F, _HIGHEST_F, _LOG2_E_F = _F(-104), _F(89), _F(1.44269504)
_LN_2_HIGH_F, _LN_2_LOW_F = _F(0.693359375), _F(-2.12194440e-4)  # n * _LN_2_HIGH is exact
_P0, _P1, _P2 = _F(1.9875691500e-4), _F(1.3981999507e-3), _F(8.3334519073e-3)
_P3, _P4, _P5 = _F(4.1665795894e-2), _F(1.6666665459e-1), _F(5.0000001201e-1)
_ONE_F, _SHIFT_F = _F(1), _F(256.5)


@inlined
def _two_to_float32(n: Any) -> Any:
    """2^n: n is the exponent in the bits of the number."""
    return np.int32((n + 127) << 23).view(np.float32)


@inlined
def _exp_float32(x: Any) -> Any:
    limited = x if x > _LOWEST_F else _LOWEST_F  # for NaN, too
    limited = limited if limited < _HIGHEST_F else _HIGHEST_F
    n = (
        np.int32(limited * _LOG2_E_F + _SHIFT_F) - 256
    )  # the conversion rounds down, since the sum is positive
    r = limited - _F(n) * _LN_2_HIGH_F - _F(n) * _LN_2_LOW_F
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    half = n >> 1  # 2^n may overflow, 2^(n/2) does not
    y = (p * r * r + r + _ONE_F) * _two_to_float32(half) * _two_to_float32(n - half)
    return x if x != x else y


# exp(r) = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2))
_LOWEST, _HIGHEST, _LOG2_E = -746.0, 710.0, 1.4426950408889634
_LN_2_HIGH, _LN_2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
_N0, _N1, _N2 = 1.26177193074810590878e-4, 3.02994407707441961300e-2, 9.99999999999999999910e-1
_M0, _M1 = 3.00198505138664455042e-6, 2.52448340349684104192e-3
_M2, _M3 = 2.27265548208155028766e-1, 2.00000000000000000005


@inlined
def _two_to_float64(n: Any) -> Any:
    """2^n: n is the exponent in the bits of the number."""
    return np.int64((n + 1023) << 52).view(np.float64)


@inlined
def _exp_float64(x: Any) -> Any:
    limited = x if x > _LOWEST else _LOWEST
    limited = limited if limited < _HIGHEST else _HIGHEST
    n = np.int64(limited * _LOG2_E + 2048.5) - 2048
    r = limited - n * _LN_2_HIGH - n * _LN_2_LOW
    s = r * r
    p = r * ((_N0 * s + _N1) * s + _N2)
    q = ((_M0 * s + _M1) * s + _M2) * s + _M3
    half = n >> 1
    y = (1.0 + 2.0 * (p / (q - p))) * _two_to_float64(half) * _two_to_float64(n - half)
    return x if x != x else y


def exp(x: Any) -> Any:
    """e ** x of a float32 or float64 number."""
    raise NotImplementedError("only compiled functions can call exp")


@overload(exp, inline="always")
def _choose_exp(x: Any) -> Callable[[Any], Any]:
    """Choose the code that Numba compiles for a call of `exp`, by the type of its argument."""

    def exp_float32(x: Any) -> Callable[[Any], Any]:
        return _exp_float32(x)

    def exp_float64(x: Any) -> Callable[[Any], Any]:
        return _exp_float64(x)

    return exp_float32 if x == types.float32 else exp_float64
