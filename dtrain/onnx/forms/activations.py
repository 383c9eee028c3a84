"""Activations, and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.onnx.builder import END, Builder, Wire
from dtrain.onnx.forms.arithmetic import expm1, log1p
from dtrain.onnx.forms.table import Form, unary


def _choose(condition: str, limit: Any, b: Builder, x: Wire, yes: Any, no: Any) -> Wire:
    """`yes` where x is beyond a limit, `no` elsewhere."""
    return b.where(getattr(b, condition)(x, b.wire(limit, x.dtype)), yes, no, x.dtype)


def clip(b: Builder, x: Wire, low: Any, high: Any) -> Wire:
    """x within two limits."""
    return b.Min(b.Max(x, low), high)


def prelu(b: Builder, x: Wire, slope: Wire) -> Wire:
    """x where positive, x * slope elsewhere."""
    return _choose("Greater", 0, b, x, x, b.Mul(x, slope))


def softplus(b: Builder, x: Wire, *, beta: float, threshold: float) -> Wire:
    """log(1 + exp(beta x)) / beta; x beyond the threshold."""
    z = b.Mul(x, beta)
    soft = b.Add(b.Max(z, 0), log1p(b, b.Exp(b.Neg(b.Abs(z)))))
    return b.where(b.Greater(z, b.wire(threshold, x.dtype)), x, b.Div(soft, beta))


def elu(b: Builder, x: Wire, *, alpha: float, scale: float, rate: float) -> Wire:
    """scale x where positive, scale alpha (exp(rate x) - 1) elsewhere."""
    below = b.Mul(expm1(b, b.Mul(x, rate)), alpha * scale)
    return _choose("Greater", 0, b, x, b.Mul(x, scale), below)


def hardshrink(b: Builder, x: Wire, *, reach: float) -> Wire:
    """0 in [-reach, reach], x elsewhere."""
    inside = b.LessOrEqual(b.Abs(x), b.wire(reach, x.dtype))
    return b.where(inside, 0, x, x.dtype)


def gelu(b: Builder, x: Wire) -> Wire:
    """x (1 + erf(x / sqrt(2))) / 2."""
    return b.Mul(b.Mul(x, b.Add(b.Erf(b.Div(x, math.sqrt(2))), 1)), 0.5)


def gelu_tanh(b: Builder, x: Wire) -> Wire:
    """x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    cube = b.Mul(b.Mul(x, x), b.Mul(x, 0.044715))
    inner = b.Tanh(b.Mul(b.Add(x, cube), math.sqrt(2 / math.pi)))
    return b.Mul(b.Mul(x, b.Add(inner, 1)), 0.5)


def _hardsigmoid(b: Builder, x: Wire) -> Wire:
    return b.Div(clip(b, b.Add(x, 3), 0, 6), 6)


def _glu(b: Builder, x: Wire, *, axis: int) -> Wire:
    values, gates = b.node("Split", [x], [x.dtype, x.dtype], axis=axis, num_outputs=2)
    return b.Mul(values, b.Sigmoid(gates))


def _softmax(kind: str) -> Form:
    def form(b: Builder, x: Wire, *, axis: int) -> Wire:
        if x.ndim:
            return getattr(b, kind)(x, axis=axis)
        return b.Reshape(getattr(b, kind)(b.unsqueeze(x, 0), axis=0), b.ints([]))

    return form


def causal_softmax(b: Builder, x: Wire) -> Wire:
    """softmax of the lower triangle of matrices, 0 above it."""
    sizes = b.Slice(b.Shape(x, dtype=np.int64), b.ints([-2]), b.ints([END]))
    seen = b.Trilu(b.Expand(b.wire(1.0, x.dtype), sizes), upper=0)
    hidden = b.where(b.Equal(seen, 0), -np.inf, x, x.dtype)
    return b.Softmax(hidden, axis=-1)


FORMS: dict[str, Form] = {
    "relu": unary("Relu"),
    "leaky_relu": lambda b, x, *, slope: prelu(b, x, b.wire(slope, x.dtype)),
    "prelu": prelu,
    "sigmoid": unary("Sigmoid"),
    "tanh": unary("Tanh"),
    "silu": lambda b, x: b.Mul(x, b.Sigmoid(x)),
    "glu": _glu,
    "softplus": softplus,
    "elu": elu,
    "hardtanh": lambda b, x, *, low, high: clip(b, x, low, high),
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda b, x: b.Mul(x, _hardsigmoid(b, x)),
    "hardshrink": hardshrink,
    "softshrink": lambda b, x, *, reach: b.Sub(x, clip(b, x, -reach, reach)),
    "threshold": lambda b, x, *, limit, value: _choose("LessOrEqual", limit, b, x, value, x),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "causal_softmax": causal_softmax,
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
}
