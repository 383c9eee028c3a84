"""Layers and losses as functions (torch.nn.functional)."""

from dtrain.nn.functional.activations import (
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from dtrain.nn.functional.images import avg_pool2d, conv2d, max_pool2d
from dtrain.nn.functional.layers import dropout, embedding, linear, scaled_dot_product_attention
from dtrain.nn.functional.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
)
from dtrain.nn.functional.normalization import batch_norm, layer_norm
from dtrain.ops.operators.padding import pad
from dtrain.ops.operators.products import pdist
from dtrain.ops.operators.searching import one_hot

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "pdist",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
