"""Activations, and softmax."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module
from dtrain.ops.special import erf_array


@op
def relu(x: Array):
    """max(x, 0); the gradient at 0 is 0."""
    out = array_module(x).maximum(x, 0)
    return out, (lambda g: g * (out != 0),)


@op
def leaky_relu(x: Array, *, slope: float):
    """x where positive, slope * x elsewhere."""
    xp = array_module(x)
    return xp.where(x > 0, x, x * slope), (lambda g: xp.where(x > 0, g, g * slope),)


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)); where exp overflows it is 0, as it should be."""
    return 1 / (1 + array_module(x).exp(-x))


@op
def sigmoid(x: Array):
    """1 / (1 + exp(-x))"""
    out = _logistic(x)
    return out, (lambda g: g * out * (1 - out),)


@op
def tanh(x: Array):
    """The hyperbolic tangent."""
    out = array_module(x).tanh(x)
    return out, (lambda g: g * (1 - out * out),)


@op
def silu(x: Array):
    """x * sigmoid(x) (Elfwing et al. 2017)."""

    def grad_x(g):
        s = _logistic(x)
        return g * s * (1 + x * (1 - s))

    return x * _logistic(x), (grad_x,)


@op
def softplus(x: Array):
    """log(1 + exp(x)), without overflow."""
    xp = array_module(x)
    return xp.logaddexp(x, x.dtype.type(0)), (lambda g: g * _logistic(x),)


_GELU_SCALE = math.sqrt(2 / math.pi)


@op
def gelu_tanh(x: Array):
    """GELU by tanh (Hendrycks and Gimpel 2016): x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    xp = array_module(x)

    def inner():
        return xp.tanh(_GELU_SCALE * (x + 0.044715 * x * x * x))

    def grad_x(g):
        t = inner()
        slope = _GELU_SCALE * (1 + 3 * 0.044715 * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)

    return 0.5 * x * (1 + inner()), (grad_x,)


def _normal_cdf(x: Array) -> Array:
    """The cumulative distribution of the standard normal."""
    return 0.5 * (1 + erf_array(x * math.sqrt(0.5)))


@op
def gelu(x: Array):
    """GELU: x times the cumulative distribution of the standard normal."""
    xp = array_module(x)

    def grad_x(g):
        density = xp.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
        return g * (_normal_cdf(x) + x * density)

    return x * _normal_cdf(x), (grad_x,)


@op
def softmax(x: Array, *, axis: int):
    """exp(x) / sum(exp(x)) along an axis."""
    xp = array_module(x)
    out = xp.exp(x - x.max(axis, keepdims=True))
    out /= out.sum(axis, keepdims=True)
    return out, (lambda g: (g - (g * out).sum(axis, keepdims=True)) * out,)


@op
def log_softmax(x: Array, *, axis: int):
    """log(softmax(x)) along an axis."""
    xp = array_module(x)
    out = x - x.max(axis, keepdims=True)
    out -= xp.log(xp.exp(out).sum(axis, keepdims=True))
    return out, (lambda g: g - xp.exp(out) * g.sum(axis, keepdims=True),)
