"""Activations of arrays of any shape, one launch each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each
from dtrain.backend.kernels.cuda.parts import contiguous


def _elementwise(name: str) -> Callable[..., Array]:
    """Make the kernel `name` of activation.cu: it takes arrays of one shape, then numbers, and
    returns a new array."""

    def kernel(*args: Any) -> Array:
        import cupy

        inputs = [
            cupy.ascontiguousarray(a) if isinstance(a, cupy.ndarray) else float(a) for a in args
        ]
        out = cupy.empty(args[0].shape, args[0].dtype)
        for_each("activation", name, out.size, *inputs, out)
        return out

    return kernel


relu_backward: Callable[..., Array] = _elementwise("relu_backward")
silu: Callable[..., Array] = _elementwise("silu")
silu_backward: Callable[..., Array] = _elementwise("silu_backward")
gelu: Callable[..., Array] = _elementwise("gelu")
gelu_backward: Callable[..., Array] = _elementwise("gelu_backward")
gelu_tanh: Callable[..., Array] = _elementwise("gelu_tanh")
gelu_tanh_backward: Callable[..., Array] = _elementwise("gelu_tanh_backward")
relu: Callable[..., Array] = _elementwise("relu")
leaky_relu: Callable[..., Array] = _elementwise("leaky_relu")
leaky_relu_backward: Callable[..., Array] = _elementwise("leaky_relu_backward")
sigmoid: Callable[..., Array] = _elementwise("sigmoid")
sigmoid_backward: Callable[..., Array] = _elementwise("sigmoid_backward")
softplus: Callable[..., Array] = _elementwise("softplus")
softplus_backward: Callable[..., Array] = _elementwise("softplus_backward")
elu: Callable[..., Array] = _elementwise("elu")
elu_backward: Callable[..., Array] = _elementwise("elu_backward")
hardswish: Callable[..., Array] = _elementwise("hardswish")
hardswish_backward: Callable[..., Array] = _elementwise("hardswish_backward")
huber: Callable[..., Array] = _elementwise("huber")
huber_backward: Callable[..., Array] = _elementwise("huber_backward")
bce_with_logits: Callable[..., Array] = _elementwise("bce_with_logits")
bce_with_logits_backward: Callable[..., Array] = _elementwise("bce_with_logits_backward")


def glu(x: Array) -> Array:
    """values * sigmoid(gates), (rows, n), of x: (rows, 2, n), values and gates."""
    import cupy

    rows, _, n = x.shape
    out = cupy.empty((rows, n), x.dtype)
    for_each("activation", "glu", out.size, cupy.ascontiguousarray(x), n, out)
    return out


def glu_backward(g: Array, x: Array) -> Array:
    """The gradient of x, from that of glu(x)."""
    import cupy

    grad = cupy.empty(x.shape, x.dtype)
    arrays = cupy.ascontiguousarray(g), cupy.ascontiguousarray(x), x.shape[2], grad
    for_each("activation", "glu_backward", g.size, *arrays)
    return grad


#: As activation.cu numbers them.
_WITH_BIAS = "relu", "silu", "gelu", "gelu_tanh"


def bias_activation(x: Array, bias: Array, name: str) -> Array:
    """An activation of x + bias. x: (rows, n); bias: (n,)."""
    return _with_bias("bias_activation", name, x, bias)


def bias_activation_backward(g: Array, x: Array, bias: Array, name: str) -> Array:
    """The gradient of x, (rows, n), from that of `bias_activation`."""
    return _with_bias("bias_activation_backward", name, g, x, bias)


def _with_bias(kernel: str, name: str, *arrays: Array) -> Array:
    import cupy

    out = cupy.empty(arrays[0].shape, arrays[0].dtype)
    numbers = _WITH_BIAS.index(name), out.shape[1]
    for_each("activation", kernel, out.size, *contiguous(*arrays), out, *numbers)
    return out
