"""The linear map of a layer."""

from __future__ import annotations

import math

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, kernels


@op(takes_complex=True, takes_halves=True, into_memory=1)
def linear(x: Array, weight: Array, bias: Array | None = None) -> OutputAndVJPs:
    """x @ weight.T + bias. x: (..., n); weight: (m, n); bias: (m,)."""
    n, m = weight.shape[1], weight.shape[0]
    count = math.prod(x.shape[:-1])

    def rows(a: Array, width: int) -> Array:  # one large product instead of one per leading index
        return a if a.ndim == 2 else a.reshape(count, width)

    out = kernels.matmul(rows(x, n), weight.T)
    if bias is not None:
        out += bias
    shape = x.shape
    return out if x.ndim == 2 else out.reshape(*shape[:-1], m), (
        lambda g: kernels.matmul(rows(g, m), weight).reshape(shape),
        lambda g, out=None: kernels.matmul(rows(g, m).T, rows(x, n), out),
        lambda g: kernels.sum_leading(rows(g, m), 1),
    )


@op(takes_halves=True, into_memory=1)
def linear_activation(
    x: Array, weight: Array, bias: Array, *, activation: str
) -> OutputAndVJPs:  # fmt: skip
    """`linear`, and an activation, "relu", "silu", "gelu" or "gelu_tanh", with the bias in its
    kernel."""
    (m, n), shape = weight.shape, x.shape
    rows = x if x.ndim == 2 else x.reshape(math.prod(shape[:-1]), n)
    product = kernels.matmul(rows, weight.T)
    out = kernels.bias_activation(product, bias, activation)

    @memoize_by_gradient
    def of_sum(g: Array) -> Array:
        return kernels.bias_activation_backward(g.reshape(product.shape), product, bias, activation)

    return out if x.ndim == 2 else out.reshape(*shape[:-1], m), (
        lambda g: kernels.matmul(of_sum(g), weight).reshape(shape),
        lambda g, out=None: kernels.matmul(of_sum(g).T, rows, out),
        lambda g: kernels.sum_leading(of_sum(g), 1),
    )
