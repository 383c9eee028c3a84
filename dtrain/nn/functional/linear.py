"""Linear and bilinear maps as functions."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import kernels
from dtrain.backend.tracing import tracers
from dtrain.functions import products
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.nn.functional import activations
from dtrain.primitives import linear as primitives


@autocasts
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias (torch.nn.functional.linear).

    Shape: input (..., n), weight (m, n), bias (m,) to (..., m).
    """
    if input.array.shape[-1:] != weight.array.shape[1:]:
        raise RuntimeError(
            f"linear: expected an input of shape (..., {weight.shape[1]}), got {input.shape}"
        )
    products.same_dtype(input, weight)
    return primitives.linear(input, weight, bias)


_ACTIVATIONS: dict[str, Any] = {
    "relu": activations.relu,
    "silu": activations.silu,
    "gelu": activations.gelu,
    "gelu_tanh": lambda x: activations.gelu(x, "tanh"),
}


def _linear_activation(
    input: Tensor, weight: Tensor, bias: Tensor | None, activation: str
) -> Tensor:
    """An activation, by its name, of linear(input, weight, bias), with the same bits.

    On a GPU the bias is added in the activation's kernel. A graph records the two operations.
    """
    if bias is not None and _is_fused(input, weight, bias):
        return primitives.linear_activation(input, weight, bias, activation=activation)
    return _ACTIVATIONS[activation](linear(input, weight, bias))


def _is_fused(input: Tensor, weight: Tensor, bias: Tensor) -> bool:
    """Whether a kernel adds the bias and computes the activation; a graph records neither."""
    if tracers or not kernels.computes_bias_activation(input.array, bias.array):
        return False
    has_rows = input.ndim > 1 and input.array.size and weight.array.size
    return bool(has_rows) and input.dtype == weight.dtype and input.shape[-1] == weight.shape[1]


_linear_activation.__name__ = "linear"  # as which autocast knows it
linear_activation = autocasts(_linear_activation)


@autocasts
@in_float32(on_device=False)
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1^T weight input2 + bias (torch.nn.functional.bilinear).

    Shape: input1 (..., n), input2 (..., m), weight (k, n, m), bias (k,) to (..., k).
    """
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear: expected inputs alike but in their last dimension, got {input1.shape} and "
            f"{input2.shape}"
        )
    if weight.shape[1:] != (input1.shape[-1], input2.shape[-1]):
        raise RuntimeError(
            f"bilinear: expected a weight (k, {input1.shape[-1]}, {input2.shape[-1]}), "
            f"got {weight.shape}"
        )
    outputs, n, m = weight.shape
    halfway = products.matmul(input1, weight.permute(1, 0, 2).reshape(n, outputs * m))
    halfway = halfway.reshape(*input1.shape[:-1], outputs, m)
    out = products.matmul(halfway, input2.unsqueeze(-1)).squeeze(-1)
    return out if bias is None else out + bias
