"""Activations of float32 or float64 arrays of any shape, one loop over the elements each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp
from dtrain.backend.kernels.reference.activation import CUBIC, SCALE
from dtrain.backend.kernels.reference.erf import FLOAT32

_P0, _P1, _P2, _P3, _P4, _P5, _P6 = map(np.float32, FLOAT32[0])
_Q0, _Q1, _Q2, _Q3, _Q4 = map(np.float32, FLOAT32[1])


@inlined
def _erf_float32(x: Any) -> Any:
    """x P(x^2) / Q(x^2) on [-4, 4]; NaN for NaN."""
    x = min(max(x, np.float32(-4)), np.float32(4)) if x == x else x
    s = x * x
    p = (((((_P6 * s + _P5) * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    return x * p / ((((_Q4 * s + _Q3) * s + _Q2) * s + _Q1) * s + _Q0)


def _erf(x: Any) -> Any:
    """The error function of a float32 or float64 number."""
    raise NotImplementedError("only compiled functions can call _erf")


@overload(_erf, inline="always")
def _choose_erf(x: Any) -> Callable[[Any], Any]:
    """Choose the code that Numba compiles for a call of `_erf`, by the type of its argument."""

    def erf_float32(x: Any) -> Callable[[Any], Any]:
        return _erf_float32(x)

    def erf_float64(x: Any) -> Callable[[Any], Any]:
        return math.erf(x)  # type: ignore[return-value]

    return erf_float32 if x == types.float32 else erf_float64


@compiled
def _relu_backward(g: np.ndarray, out: np.ndarray, grad: np.ndarray) -> None:
    """grad = g where out is not 0, else 0."""
    zero = g.dtype.type(0)
    for i in range(g.size):
        grad[i] = zero if out[i] == zero else g[i]


@compiled
def _silu(x: np.ndarray, out: np.ndarray) -> None:
    """out = x / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = x[i] / (one + exp(-x[i]))


@compiled
def _silu_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g s (1 + x (1 - s)), s = 1 / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        s = one / (one + exp(-x[i]))
        grad[i] = g[i] * s * (one + x[i] * (one - s))


@compiled
def _gelu(x: np.ndarray, out: np.ndarray) -> None:
    """out = x cdf(x), cdf: of the standard normal distribution."""
    half, root_half = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for i in range(x.size):
        out[i] = x[i] * (half + half * _erf(x[i] * root_half))


@compiled
def _gelu_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g (cdf(x) + x density(x))."""
    half, root_half = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    peak = x.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(x.size):
        v = x[i]
        cdf = half + half * _erf(v * root_half)
        grad[i] = g[i] * (cdf + v * (peak * exp(-half * v * v)))


# (1 + tanh(u)) / 2 is the logistic function of 2u.


@compiled
def _gelu_tanh(x: np.ndarray, out: np.ndarray) -> None:
    """out = x / (1 + exp(-2u)), u = SCALE (x + CUBIC x^3)."""
    one, scale, cubic = x.dtype.type(1), x.dtype.type(2 * SCALE), x.dtype.type(CUBIC)
    for i in range(x.size):
        v = x[i]
        out[i] = v / (one + exp(-scale * (v + cubic * v * v * v)))


@compiled
def _gelu_tanh_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g (s + x s (1 - s) 2 du/dx), s = 1 / (1 + exp(-2u))."""
    one, scale, cubic = x.dtype.type(1), x.dtype.type(2 * SCALE), x.dtype.type(CUBIC)
    slope = x.dtype.type(3 * CUBIC)
    for i in range(x.size):
        v = x[i]
        s = one / (one + exp(-scale * (v + cubic * v * v * v)))
        grad[i] = g[i] * (s + v * s * (one - s) * scale * (one + slope * v * v))


def _elementwise(loop: Callable) -> Callable[..., np.ndarray]:
    """Make the kernel of a compiled loop: it takes arrays of one shape and returns a new one."""

    def kernel(*arrays: np.ndarray) -> np.ndarray:
        shape = arrays[0].shape
        flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
        out = np.empty(flat[0].size, flat[0].dtype)
        loop(*flat, out)
        return out.reshape(shape)

    return kernel


relu_backward: Callable[..., np.ndarray] = _elementwise(_relu_backward)
silu: Callable[..., np.ndarray] = _elementwise(_silu)
silu_backward: Callable[..., np.ndarray] = _elementwise(_silu_backward)
gelu: Callable[..., np.ndarray] = _elementwise(_gelu)
gelu_backward: Callable[..., np.ndarray] = _elementwise(_gelu_backward)
gelu_tanh: Callable[..., np.ndarray] = _elementwise(_gelu_tanh)
gelu_tanh_backward: Callable[..., np.ndarray] = _elementwise(_gelu_tanh_backward)
