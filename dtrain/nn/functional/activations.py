"""Activations as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.ops import activation
from dtrain.ops.operators import elementwise, reductions

relu = activation.relu
silu = activation.silu
tanh = elementwise.tanh
sigmoid = elementwise.sigmoid


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return activation.leaky_relu(input, slope=negative_slope)


def softplus(input: Tensor) -> Tensor:
    """log(1 + exp(x))"""
    return activation.softplus(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution's cumulative function, or its approximation by "tanh"."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    return activation.gelu(input) if approximate == "none" else activation.gelu_tanh(input)


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`."""
    return reductions.softmax(input, dim)


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """log(softmax(x)) along `dim`."""
    return reductions.log_softmax(input, dim)
