"""A linear layer and the activation after it: on a GPU one kernel adds the bias and computes both.

Two calls that do not know of each other, `activation(linear(x))`, are a launch more.
"""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.activations import GELU, ReLU, SiLU
from dtrain.nn.functional.linear import linear_activation
from dtrain.nn.layers import Linear
from dtrain.nn.module import Module

_FUNCTIONS = {F.relu: "relu", F.silu: "silu", F.gelu: "gelu"}


def can_join(linear: Any, activation: Any, input: Any) -> bool:
    """Whether these are a Linear and an activation that has such a kernel, without hooks, and a
    tensor on a GPU."""
    return (
        type(linear) is Linear
        and type(input) is Tensor
        and input.is_cuda
        and linear._hooks is None
        and _name(activation) is not None
        and (not isinstance(activation, Module) or activation._hooks is None)
    )


def apply_linear(linear: Any, activation: Any, input: Any) -> Tensor:
    """activation(linear(input)), with the same bits."""
    if can_join(linear, activation, input):
        return linear_activation(input, linear.weight, linear.bias, str(_name(activation)))
    return activation(linear(input))


def _name(activation: Any) -> str | None:
    if type(activation) is GELU:
        return "gelu" if activation.approximate == "none" else "gelu_tanh"
    names = {ReLU: "relu", SiLU: "silu"}
    return names.get(type(activation)) or _FUNCTIONS.get(activation)
