"""Activations, and softmax."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.op import exact_op, op
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
def softplus(x: Array, *, beta: float, threshold: float):
    """log(1 + exp(beta x)) / beta, without overflow; x itself where beta x > threshold."""
    xp = array_module(x)
    out = xp.logaddexp(x * beta, x.dtype.type(0)) / beta

    def grad_x(g):
        return xp.where(x * beta > threshold, g, g * _logistic(x * beta))

    return xp.where(x * beta > threshold, x, out), (grad_x,)


@op
def prelu(x: Array, slope: Array):
    """x where positive, slope * x elsewhere (He et al. 2015)."""
    xp = array_module(x)
    return xp.where(x > 0, x, x * slope), (
        lambda g: xp.where(x > 0, g, g * slope),
        lambda g: xp.where(x > 0, g.dtype.type(0), g * x),
    )


@op
def elu(x: Array, *, alpha: float, scale: float, rate: float):
    """scale * x where positive, scale * alpha * (exp(rate x) - 1) elsewhere."""
    xp = array_module(x)
    below = xp.expm1(x * rate) * (alpha * scale)

    def grad_x(g):
        return xp.where(x <= 0, g * xp.exp(x * rate) * (rate * alpha * scale), g * scale)

    return xp.where(x > 0, x * scale, below), (grad_x,)


@op
def hardtanh(x: Array, *, low: Any, high: Any):
    """x within its limits; the gradient on them is 0."""
    xp = array_module(x)
    return xp.clip(x, low, high), (lambda g: xp.where((x > low) & (x < high), g, g.dtype.type(0)),)


@op
def hardsigmoid(x: Array):
    """x / 6 + 1/2 within [0, 1] (Howard et al. 2019)."""
    xp = array_module(x)
    return xp.clip(x + 3, 0, 6) / 6, (
        lambda g: xp.where((x > -3) & (x < 3), g / 6, g.dtype.type(0)),
    )


@op
def hardswish(x: Array):
    """x * hardsigmoid(x) (Howard et al. 2019)."""
    xp = array_module(x)

    def grad_x(g):
        between = xp.where(x < 3, g * (x / 3 + 0.5), g)
        return xp.where(x <= -3, g.dtype.type(0), between)

    return x * xp.clip(x + 3, 0, 6) / 6, (grad_x,)


@exact_op
def hardshrink(x: Array, *, reach: float):
    """0 in [-reach, reach], x elsewhere."""
    xp = array_module(x)
    out = xp.where((x >= -reach) & (x <= reach), x.dtype.type(0), x)
    return out, (lambda g: xp.where((x < -reach) | (x > reach), g, g.dtype.type(0)),)


@op
def softshrink(x: Array, *, reach: float):
    """0 in [-reach, reach], elsewhere x moved towards 0 by `reach`."""
    xp = array_module(x)
    out = x - xp.clip(x, -reach, reach)
    return out, (lambda g: xp.where((x < -reach) | (x > reach), g, g.dtype.type(0)),)


@exact_op
def threshold(x: Array, *, limit: Any, value: Any):
    """x where it is above the limit, `value` elsewhere."""
    xp = array_module(x)
    return xp.where(x <= limit, x.dtype.type(value), x), (
        lambda g: xp.where(x <= limit, g.dtype.type(0), g),
    )


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
