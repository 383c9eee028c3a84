"""Activations and elementwise losses, as array code in several passes. x: any shape.

Gradients are multiplied by masks, because NumPy's `where` takes many times as long. An infinite
gradient times a mask of 0 is NaN; the compiled bodies, which choose, give 0.
"""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.kernels.reference.erf import erf

#: the constants of gelu_tanh: x/2 (1 + tanh(SCALE (x + CUBIC x^3)))
SCALE, CUBIC = math.sqrt(2 / math.pi), 0.044715


def relu(x: Array) -> Array:
    """max(x, 0)"""
    return array_module(x).maximum(x, 0)


def relu_backward(g: Array, out: Array) -> Array:
    """The gradient of x, from that of out = max(x, 0)."""
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


def leaky_relu(x: Array, slope: float) -> Array:
    """x where positive, slope * x elsewhere."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.minimum(x, 0) * slope


def leaky_relu_backward(g: Array, x: Array, slope: float) -> Array:
    """The gradient of x, from that of leaky_relu(x, slope)."""
    return g * (x > 0) + g * slope * ~(x > 0)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); 0, its limit, where exp overflows."""
    return _logistic(x)


def sigmoid_backward(g: Array, out: Array) -> Array:
    """The gradient of x, from that of out = sigmoid(x)."""
    return g * out * (1 - out)


def tanh_backward(g: Array, out: Array) -> Array:
    """The gradient of x, from that of out = tanh(x)."""
    return g * (1 - out * out)


def hardtanh_backward(g: Array, x: Array, low: float, high: float) -> Array:
    """The gradient of x, from that of min(max(x, low), high): 0 on the limits, g at NaN."""
    return g * ~((x <= low) | (x >= high))


def softplus(x: Array, beta: float, threshold: float) -> Array:
    """log(1 + exp(beta x)) / beta, without overflow; x itself where beta x > threshold."""
    xp = array_module(x)
    z = x * beta
    soft = (xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))) / beta
    return xp.where(z > threshold, x, soft)


def softplus_backward(g: Array, x: Array, beta: float, threshold: float) -> Array:
    """The gradient of x, from that of softplus(x, beta, threshold)."""
    linear = x * beta > threshold
    return g * (_logistic(x * beta) * ~linear + linear)


def glu(x: Array) -> Array:
    """values * sigmoid(gates), (rows, n), of x: (rows, 2, n), values and gates."""
    return x[:, 0] * _logistic(x[:, 1])


def glu_backward(g: Array, x: Array) -> Array:
    """The gradient of x, from that of glu(x)."""
    gate = _logistic(x[:, 1])
    of_values = g * gate
    of_gates = of_values * x[:, 0] * (1 - gate)
    return array_module(x).concatenate([of_values[:, None], of_gates[:, None]], 1)


def elu(x: Array, scale: float, steep: float, rate: float) -> Array:
    """scale * x where positive, steep * (exp(rate x) - 1) elsewhere."""
    xp = array_module(x)
    return xp.maximum(x, 0) * scale + xp.expm1(xp.minimum(x, 0) * rate) * steep


def elu_backward(g: Array, x: Array, scale: float, steep: float, rate: float) -> Array:
    """The gradient of x, from that of elu(x, scale, steep, rate)."""
    xp = array_module(x)
    below = xp.exp(xp.fmin(x, 0) * rate) * (steep * rate)
    return g * below * (x <= 0) + g * scale * ~(x <= 0)


def hardswish(x: Array) -> Array:
    """x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""
    return x * array_module(x).clip(x + 3, 0, 6) / 6


def hardswish_backward(g: Array, x: Array) -> Array:
    """The gradient of x, from that of hardswish(x); at NaN that is g."""
    xp = array_module(x)
    between = (xp.fmin(xp.fmax(x, -3), 3) / 3 + 0.5) * ((x > -3) & (x < 3))
    return g * (between + ~(x < 3))


def huber(x: Array, delta: float) -> Array:
    """x^2 / 2 where |x| < delta, delta (|x| - delta / 2) elsewhere."""
    near = array_module(x).clip(x, -delta, delta)
    return near * (x - near / 2)


def huber_backward(g: Array, x: Array, delta: float) -> Array:
    """The gradient of x, from that of huber(x, delta)."""
    return g * array_module(x).clip(x, -delta, delta)


def bce_with_logits(x: Array, target: Array) -> Array:
    """(1 - target) * x - log(sigmoid(x)): binary cross-entropy of sigmoid(x), without overflow."""
    xp = array_module(x)
    return (1 - target) * x + (xp.maximum(-x, 0) + xp.log1p(xp.exp(-xp.abs(x))))


def bce_with_logits_backward(g: Array, x: Array, target: Array) -> Array:
    """The gradient of x, from that of bce_with_logits(x, target)."""
    return g * (_logistic(x) - target)


#: The activations that a linear layer computes with its bias, and their gradients from g and x.
_WITH_BIAS = {
    "relu": (relu, lambda g, x: relu_backward(g, relu(x))),
    "silu": (silu, silu_backward),
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
}


def bias_activation(x: Array, bias: Array, name: str) -> Array:
    """An activation of x + bias. x: (rows, n); bias: (n,)."""
    return _WITH_BIAS[name][0](x + bias)


def bias_activation_backward(g: Array, x: Array, bias: Array, name: str) -> Array:
    """The gradient of x, (rows, n), from that of `bias_activation`."""
    return _WITH_BIAS[name][1](g, x + bias)
