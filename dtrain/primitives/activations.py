"""Activations, and softmax."""

from __future__ import annotations

import math
from typing import Any

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.array_module import where


@op(takes_halves=True)
def relu(x: Array) -> OutputAndVJPs:
    """max(x, 0); the gradient at 0 is 0."""
    out = kernels.relu(x)
    return out, (lambda g: kernels.relu_backward(g, out),)


@op(takes_halves=True)
def leaky_relu(x: Array, *, slope: float) -> OutputAndVJPs:
    """x where positive, slope * x elsewhere."""
    return kernels.leaky_relu(x, slope), (lambda g: kernels.leaky_relu_backward(g, x, slope),)


@op
def prelu(x: Array, slope: Array) -> OutputAndVJPs:
    """x where positive, slope * x elsewhere (He et al. 2015)."""
    xp = array_module(x)
    return xp.where(x > 0, x, x * slope), (
        lambda g: xp.where(x > 0, g, g * slope),
        lambda g: g * xp.minimum(x, 0),  # 0 for infinity, too
    )


@op(takes_complex=True, takes_halves=True)
def sigmoid(x: Array) -> OutputAndVJPs:
    """1 / (1 + exp(-x))"""
    out = kernels.sigmoid(x)
    return out, (lambda g: kernels.sigmoid_backward(g, out),)


@op(takes_complex=True)
def tanh(x: Array) -> OutputAndVJPs:
    """The hyperbolic tangent."""
    out = array_module(x).tanh(x)
    return out, (lambda g: kernels.tanh_backward(g, out),)


@op(takes_halves=True)
def silu(x: Array) -> OutputAndVJPs:
    """x * sigmoid(x) (Elfwing et al. 2017)."""
    return kernels.silu(x), (lambda g: kernels.silu_backward(g, x),)


@op(takes_halves=True)
def softplus(x: Array, *, beta: float, threshold: float) -> OutputAndVJPs:
    """log(1 + exp(beta x)) / beta, without overflow; x itself where beta x > threshold."""
    out = kernels.softplus(x, beta, threshold)
    return out, (lambda g: kernels.softplus_backward(g, x, beta, threshold),)


@op(takes_halves=True)
def glu(x: Array, *, axis: int) -> OutputAndVJPs:
    """a * sigmoid(b), a and b the halves of x along an axis (Dauphin et al. 2017)."""
    shape = x.shape
    lead, n = shape[:axis], shape[axis] // 2
    halves = math.prod(lead), 2, n * math.prod(shape[axis + 1 :])
    out = kernels.glu(x.reshape(halves)).reshape(*lead, n, *shape[axis + 1 :])

    def grad_x(g: Array) -> Array:
        return kernels.glu_backward(g.reshape(halves[::2]), x.reshape(halves)).reshape(shape)

    return out, (grad_x,)


@op(takes_halves=True)
def elu(x: Array, *, alpha: float, scale: float, rate: float) -> OutputAndVJPs:
    """scale * x where positive, scale * alpha * (exp(rate x) - 1) elsewhere."""
    how = scale, alpha * scale, rate
    return kernels.elu(x, *how), (lambda g: kernels.elu_backward(g, x, *how),)


@op
def hardtanh(x: Array, *, low: Any, high: Any) -> OutputAndVJPs:
    """x within its limits; the gradient is 0 on and beyond them, 1 at NaN."""
    return array_module(x).clip(x, low, high), (
        lambda g: kernels.hardtanh_backward(g, x, low, high),
    )


@op
def hardsigmoid(x: Array) -> OutputAndVJPs:
    """x / 6 + 1/2 within [0, 1] (Howard et al. 2019)."""
    return array_module(x).clip(x + 3, 0, 6) / 6, (lambda g: g / 6 * ((x > -3) & (x < 3)),)


@op(takes_halves=True)
def hardswish(x: Array) -> OutputAndVJPs:
    """x * hardsigmoid(x) (Howard et al. 2019)."""
    return kernels.hardswish(x), (lambda g: kernels.hardswish_backward(g, x),)


@exact_op
def hardshrink(x: Array, *, reach: float) -> OutputAndVJPs:
    """0 in [-reach, reach], x elsewhere."""
    return x * ~((x >= -reach) & (x <= reach)), (lambda g: g * ~((x >= -reach) & (x <= reach)),)


@op
def softshrink(x: Array, *, reach: float) -> OutputAndVJPs:
    """0 in [-reach, reach], elsewhere x moved towards 0 by `reach`."""
    out = x - array_module(x).clip(x, -reach, reach)
    return out, (lambda g: g * ~((x >= -reach) & (x <= reach)),)


@exact_op
def threshold(x: Array, *, limit: Any, value: Any) -> OutputAndVJPs:
    """x where it is above the limit, `value` elsewhere."""
    return where(x <= limit, x.dtype.type(value), x), (lambda g: g * ~(x <= limit),)


@op(takes_halves=True)
def gelu_tanh(x: Array) -> OutputAndVJPs:
    """GELU by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    return kernels.gelu_tanh(x), (lambda g: kernels.gelu_tanh_backward(g, x),)


@op(takes_halves=True)
def gelu(x: Array) -> OutputAndVJPs:
    """x times the cumulative distribution of the standard normal (Hendrycks and Gimpel 2016)."""
    return kernels.gelu(x), (lambda g: kernels.gelu_backward(g, x),)


@op(takes_halves=True)
def softmax(x: Array, *, axis: int) -> OutputAndVJPs:
    """exp(x) / sum(exp(x)) along an axis."""
    out = kernels.softmax(x, axis)
    return out, (lambda g: kernels.softmax_backward(g, out, axis),)


@op(takes_halves=True)
def log_softmax(x: Array, *, axis: int) -> OutputAndVJPs:
    """log(softmax(x)) along an axis."""
    out = kernels.log_softmax(x, axis)
    return out, (lambda g: kernels.log_softmax_backward(g, out, axis),)
