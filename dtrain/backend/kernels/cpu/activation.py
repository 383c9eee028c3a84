"""Activations of float32 or float64 arrays of any shape, one loop over the elements each; those
with exp or erf are bound by arithmetic, so they take wide registers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import choose_by_width, compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp, expm1, log1p
from dtrain.backend.kernels.reference.activation import CUBIC, SCALE
from dtrain.backend.kernels.reference.erf import FLOAT32

_P0, _P1, _P2, _P3, _P4, _P5, _P6 = map(np.float32, FLOAT32[0])
_Q0, _Q1, _Q2, _Q3, _Q4 = map(np.float32, FLOAT32[1])
_LOWEST, _HIGHEST = np.float32(-4), np.float32(4)


@inlined
def _erf_float32(x: Any) -> Any:
    """x P(x^2) / Q(x^2) on [-4, 4]; NaN for NaN."""
    x = _LOWEST if x < _LOWEST else _HIGHEST if x > _HIGHEST else x
    s = x * x
    p = (((((_P6 * s + _P5) * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    return x * p / ((((_Q4 * s + _Q3) * s + _Q2) * s + _Q1) * s + _Q0)


def _erf(x: Any) -> Any:
    """The error function of a float32 or float64 number."""
    raise NotImplementedError("only compiled functions can call _erf")


choose_by_width(_erf, _erf_float32, math.erf)


@compiled
def _relu(x: np.ndarray, out: np.ndarray) -> None:
    """out = max(x, 0)."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] <= zero else x[i]


@compiled
def _relu_backward(g: np.ndarray, out: np.ndarray, grad: np.ndarray) -> None:
    """grad = g where out is not 0, else 0."""
    zero = g.dtype.type(0)
    for i in range(g.size):
        grad[i] = zero if out[i] == zero else g[i]


@compiled(wide=True)
def _silu(x: np.ndarray, out: np.ndarray) -> None:
    """out = x / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = x[i] / (one + exp(-x[i]))


@compiled(wide=True)
def _silu_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g s (1 + x (1 - s)), s = 1 / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        s = one / (one + exp(-x[i]))
        grad[i] = g[i] * s * (one + x[i] * (one - s))


@compiled(wide=True)
def _gelu(x: np.ndarray, out: np.ndarray) -> None:
    """out = x cdf(x), cdf: of the standard normal distribution."""
    half, root_half = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for i in range(x.size):
        out[i] = x[i] * (half + half * _erf(x[i] * root_half))


@compiled(wide=True)
def _gelu_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g (cdf(x) + x density(x))."""
    half, root_half = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    peak = x.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(x.size):
        v = x[i]
        cdf = half + half * _erf(v * root_half)
        grad[i] = g[i] * (cdf + v * (peak * exp(-half * v * v)))


# (1 + tanh(u)) / 2 is the logistic function of 2u.


@compiled(wide=True)
def _gelu_tanh(x: np.ndarray, out: np.ndarray) -> None:
    """out = x / (1 + exp(-2u)), u = SCALE (x + CUBIC x^3)."""
    one, scale, cubic = x.dtype.type(1), x.dtype.type(2 * SCALE), x.dtype.type(CUBIC)
    for i in range(x.size):
        v = x[i]
        out[i] = v / (one + exp(-scale * (v + cubic * v * v * v)))


@compiled(wide=True)
def _gelu_tanh_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g (s + x s (1 - s) 2 du/dx), s = 1 / (1 + exp(-2u))."""
    one, scale, cubic = x.dtype.type(1), x.dtype.type(2 * SCALE), x.dtype.type(CUBIC)
    slope = x.dtype.type(3 * CUBIC)
    for i in range(x.size):
        v = x[i]
        s = one / (one + exp(-scale * (v + cubic * v * v * v)))
        grad[i] = g[i] * (s + v * s * (one - s) * scale * (one + slope * v * v))


@compiled
def _leaky_relu(x: np.ndarray, slope: Any, out: np.ndarray) -> None:
    """out = x if x > 0 else slope x."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = x[i] if x[i] > zero else x[i] * slope


@compiled
def _leaky_relu_backward(g: np.ndarray, x: np.ndarray, slope: Any, grad: np.ndarray) -> None:
    """grad = g if x > 0 else slope g."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        grad[i] = g[i] if x[i] > zero else g[i] * slope


@compiled(wide=True)
def _sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    """out = 1 / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = one / (one + exp(-x[i]))


@compiled
def _sigmoid_backward(g: np.ndarray, out: np.ndarray, grad: np.ndarray) -> None:
    """grad = g out (1 - out)."""
    one = out.dtype.type(1)
    for i in range(out.size):
        grad[i] = g[i] * out[i] * (one - out[i])


@compiled
def _tanh_backward(g: np.ndarray, out: np.ndarray, grad: np.ndarray) -> None:
    """grad = g (1 - out^2)."""
    one = out.dtype.type(1)
    for i in range(out.size):
        grad[i] = g[i] * (one - out[i] * out[i])


@compiled
def _hardtanh_backward(g: np.ndarray, x: np.ndarray, low: Any, high: Any, grad: np.ndarray) -> None:
    """grad = 0 where x <= low or x >= high, else g."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        above = zero if x[i] >= high else g[i]
        grad[i] = zero if x[i] <= low else above


@compiled(wide=True)
def _softplus(x: np.ndarray, beta: Any, threshold: Any, out: np.ndarray) -> None:
    """out = (max(z, 0) + log(1 + exp(-|z|))) / beta, z = beta x; x where z > threshold."""
    zero, scale = x.dtype.type(0), x.dtype.type(1) / beta
    for i in range(x.size):
        z = x[i] * beta
        soft = ((zero if z < zero else z) + log1p(exp(-abs(z)))) * scale
        out[i] = x[i] if z > threshold else soft


@compiled(wide=True)
def _softplus_backward(
    g: np.ndarray, x: np.ndarray, beta: Any, threshold: Any, grad: np.ndarray
) -> None:
    """grad = g / (1 + exp(-z)), z = beta x; g where z > threshold."""
    one = x.dtype.type(1)
    for i in range(x.size):
        z = x[i] * beta
        soft = g[i] / (one + exp(-z))
        grad[i] = g[i] if z > threshold else soft


@compiled(wide=True)
def _elu(x: np.ndarray, scale: Any, steep: Any, rate: Any, out: np.ndarray) -> None:
    """out = scale x if x > 0 else steep (exp(rate x) - 1)."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        below = expm1((zero if x[i] > zero else x[i]) * rate) * steep
        out[i] = x[i] * scale if x[i] > zero else below


@compiled(wide=True)
def _elu_backward(
    g: np.ndarray, x: np.ndarray, scale: Any, steep: Any, rate: Any, grad: np.ndarray
) -> None:
    """grad = scale g if x > 0, or is NaN, else rate steep exp(rate x) g."""
    zero, slope = x.dtype.type(0), rate * steep
    for i in range(x.size):
        below = exp(x[i] * rate) * slope
        grad[i] = g[i] * (below if x[i] <= zero else scale)


@compiled(fastmath=False)  # x * 6 / 6 may be infinite, as in PyTorch
def _hardswish(x: np.ndarray, out: np.ndarray) -> None:
    """out = x min(max(x + 3, 0), 6) / 6."""
    zero, three, six = x.dtype.type(0), x.dtype.type(3), x.dtype.type(6)
    sixth = x.dtype.type(1 / 6)
    for i in range(x.size):
        gate = x[i] + three
        gate = zero if gate < zero else gate
        out[i] = x[i] * (six if gate > six else gate) * sixth


@compiled
def _hardswish_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g (x / 3 + 1/2) within (-3, 3), 0 below, g above and where x is NaN."""
    zero, one, half = x.dtype.type(0), x.dtype.type(1), x.dtype.type(0.5)
    three, third = x.dtype.type(3), x.dtype.type(1 / 3)
    for i in range(x.size):
        slope = x[i] * third + half
        slope = zero if x[i] <= -three else slope
        grad[i] = g[i] * (slope if x[i] < three else one)


@compiled
def _huber(x: np.ndarray, delta: Any, out: np.ndarray) -> None:
    """out = near (x - near / 2), near = min(max(x, -delta), delta)."""
    half = x.dtype.type(0.5)
    for i in range(x.size):
        near = -delta if x[i] < -delta else x[i]
        near = delta if near > delta else near
        out[i] = near * (x[i] - near * half)


@compiled
def _huber_backward(g: np.ndarray, x: np.ndarray, delta: Any, grad: np.ndarray) -> None:
    """grad = g min(max(x, -delta), delta)."""
    for i in range(x.size):
        near = -delta if x[i] < -delta else x[i]
        grad[i] = g[i] * (delta if near > delta else near)


@compiled(wide=True)
def _bce_with_logits(x: np.ndarray, target: np.ndarray, out: np.ndarray) -> None:
    """out = (1 - target) x + max(-x, 0) + log(1 + exp(-|x|))."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.size):
        soft = (zero if x[i] > zero else -x[i]) + log1p(exp(-abs(x[i])))
        out[i] = (one - target[i]) * x[i] + soft


@compiled(wide=True)
def _bce_with_logits_backward(
    g: np.ndarray, x: np.ndarray, target: np.ndarray, grad: np.ndarray
) -> None:
    """grad = g (1 / (1 + exp(-x)) - target)."""
    one = x.dtype.type(1)
    for i in range(x.size):
        grad[i] = g[i] * (one / (one + exp(-x[i])) - target[i])


@compiled
def _glu(x: np.ndarray, out: np.ndarray) -> None:
    """out = values / (1 + exp(-gates)) of x: (rows, 2, n), values and gates."""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for j in range(x.shape[2]):
            out[i, j] = x[i, 0, j] / (one + exp(-x[i, 1, j]))


@compiled
def _glu_backward(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> None:
    """grad = g s of the values and g values s (1 - s) of the gates, s = 1 / (1 + exp(-gates))."""
    one, n = x.dtype.type(1), x.shape[2]
    flat_g, flat_x, flat = g.ravel(), x.ravel(), grad.ravel()  # x[i, 0, j] is no vector code
    for i in range(x.shape[0]):
        start = 2 * i * n
        for j in range(n):
            s = one / (one + exp(-flat_x[start + n + j]))
            flat[start + j] = flat_g[i * n + j] * s
            flat[start + n + j] = flat_g[i * n + j] * s * flat_x[start + j] * (one - s)


def _elementwise(loop: Callable) -> Callable[..., np.ndarray]:
    """Make the kernel of a compiled loop: it takes arrays of one shape, then numbers, and returns a
    new array."""

    def kernel(first: np.ndarray, *others: Any) -> np.ndarray:
        shape, dtype = first.shape, first.dtype
        out = np.empty(shape, dtype)
        if not others:
            loop(first.ravel(), out.ravel())
            return out
        flat = [first.ravel()]
        for a in others:
            if type(a) is not np.ndarray:
                flat.append(dtype.type(a))
            elif a.shape == shape:
                flat.append(a.ravel())
            else:
                flat.append(np.broadcast_to(a, shape).ravel())
        loop(*flat, out.ravel())
        return out

    kernel.__name__ = loop.__name__.removeprefix("_")
    return kernel


relu: Callable[..., np.ndarray] = _elementwise(_relu)
relu_backward: Callable[..., np.ndarray] = _elementwise(_relu_backward)
silu: Callable[..., np.ndarray] = _elementwise(_silu)
silu_backward: Callable[..., np.ndarray] = _elementwise(_silu_backward)
gelu: Callable[..., np.ndarray] = _elementwise(_gelu)
gelu_backward: Callable[..., np.ndarray] = _elementwise(_gelu_backward)
gelu_tanh: Callable[..., np.ndarray] = _elementwise(_gelu_tanh)
gelu_tanh_backward: Callable[..., np.ndarray] = _elementwise(_gelu_tanh_backward)
leaky_relu: Callable[..., np.ndarray] = _elementwise(_leaky_relu)
leaky_relu_backward: Callable[..., np.ndarray] = _elementwise(_leaky_relu_backward)
sigmoid: Callable[..., np.ndarray] = _elementwise(_sigmoid)
sigmoid_backward: Callable[..., np.ndarray] = _elementwise(_sigmoid_backward)
_array_tanh_backward = _elementwise(_tanh_backward)
hardtanh_backward: Callable[..., np.ndarray] = _elementwise(_hardtanh_backward)
softplus: Callable[..., np.ndarray] = _elementwise(_softplus)
softplus_backward: Callable[..., np.ndarray] = _elementwise(_softplus_backward)
elu: Callable[..., np.ndarray] = _elementwise(_elu)
elu_backward: Callable[..., np.ndarray] = _elementwise(_elu_backward)
hardswish: Callable[..., np.ndarray] = _elementwise(_hardswish)
hardswish_backward: Callable[..., np.ndarray] = _elementwise(_hardswish_backward)
huber: Callable[..., np.ndarray] = _elementwise(_huber)
huber_backward: Callable[..., np.ndarray] = _elementwise(_huber_backward)
bce_with_logits: Callable[..., np.ndarray] = _elementwise(_bce_with_logits)
bce_with_logits_backward: Callable[..., np.ndarray] = _elementwise(_bce_with_logits_backward)


def glu(x: np.ndarray) -> np.ndarray:
    """values * sigmoid(gates), (rows, n), of x: (rows, 2, n), values and gates."""
    out = np.empty((x.shape[0], x.shape[2]), x.dtype)
    _glu(np.ascontiguousarray(x), out)
    return out


def glu_backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient of x, from that of glu(x)."""
    grad = np.empty(x.shape, x.dtype)
    _glu_backward(np.ascontiguousarray(g), np.ascontiguousarray(x), grad)
    return grad


def tanh_backward(g: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The gradient of x, from that of out = tanh(x), for which NumPy may give a number."""
    return _array_tanh_backward(g, np.asarray(out))
