"""Activations of arrays of any shape, one launch each."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each


def _elementwise(name: str) -> Callable[..., Array]:
    """Make the kernel `name` of activation.cu: it takes arrays of one shape, returns a new one."""

    def kernel(*arrays: Array) -> Array:
        import cupy

        inputs = [cupy.ascontiguousarray(a) for a in arrays]
        out = cupy.empty(arrays[0].shape, arrays[0].dtype)
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
