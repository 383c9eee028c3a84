"""Activations, and softmax."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module, kernels


@op
def relu(x: Array):
    """max(x, 0); the gradient at 0 is 0."""
    out = array_module(x).maximum(x, 0)
    return out, (lambda g: kernels.relu_backward(g, out),)


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
    return kernels.silu(x), (lambda g: kernels.silu_backward(g, x),)


@op
def softplus(x: Array):
    """log(1 + exp(x)), without overflow."""
    xp = array_module(x)
    return xp.logaddexp(x, x.dtype.type(0)), (lambda g: g * _logistic(x),)


@op
def gelu_tanh(x: Array):
    """GELU by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    return kernels.gelu_tanh(x), (lambda g: kernels.gelu_tanh_backward(g, x),)


@op
def gelu(x: Array):
    """x times the cumulative distribution of the standard normal (Hendrycks and Gimpel 2016)."""
    return kernels.gelu(x), (lambda g: kernels.gelu_backward(g, x),)


@op
def softmax(x: Array, *, axis: int):
    """exp(x) / sum(exp(x)) along an axis."""
    out = kernels.softmax(x, axis)
    return out, (lambda g: kernels.softmax_backward(g, out, axis),)


@op
def log_softmax(x: Array, *, axis: int):
    """log(softmax(x)) along an axis."""
    out = kernels.log_softmax(x, axis)
    return out, (lambda g: kernels.log_softmax_backward(g, out, axis),)
