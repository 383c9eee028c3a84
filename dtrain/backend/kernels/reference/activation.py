"""Activations that need several passes over the array as array code. x: any shape."""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.kernels.reference.erf import erf

#: the constants of gelu_tanh: x/2 (1 + tanh(SCALE (x + CUBIC x^3)))
SCALE, CUBIC = math.sqrt(2 / math.pi), 0.044715


def relu_backward(g: Array, out: Array) -> Array:
    """The gradient of x, from that of out = max(x, 0).

    An infinite g where out is 0 gives NaN here and 0 in the compiled bodies: NumPy's `where` would
    take eight times as long as the product.
    """
    return g * (out != 0)


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)); 0, its limit, where exp overflows."""
    return 1 / (1 + array_module(x).exp(-x))


def silu(x: Array) -> Array:
    """x * sigmoid(x) (Elfwing et al. 2017)."""
    return x * _logistic(x)


def silu_backward(g: Array, x: Array) -> Array:
    """The gradient of x, from that of silu(x)."""
    s = _logistic(x)
    return g * s * (1 + x * (1 - s))


def _normal_cdf(x: Array) -> Array:
    """The cumulative distribution function of the standard normal distribution."""
    return 0.5 * (1 + erf(x * math.sqrt(0.5)))


def gelu(x: Array) -> Array:
    """x cdf(x), cdf: of the standard normal distribution (Hendrycks and Gimpel 2016)."""
    return x * _normal_cdf(x)


def gelu_backward(g: Array, x: Array) -> Array:
    """The gradient of x, from that of gelu(x)."""
    density = array_module(x).exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return g * (_normal_cdf(x) + x * density)


def gelu_tanh(x: Array) -> Array:
    """GELU by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    return 0.5 * x * (1 + array_module(x).tanh(SCALE * (x + CUBIC * x * x * x)))


def gelu_tanh_backward(g: Array, x: Array) -> Array:
    """The gradient of x, from that of gelu_tanh(x)."""
    t = array_module(x).tanh(SCALE * (x + CUBIC * x * x * x))
    slope = SCALE * (1 + 3 * CUBIC * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
