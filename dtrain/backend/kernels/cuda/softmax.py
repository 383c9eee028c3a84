"""Softmax, log-softmax and cross-entropy of logits: a block of threads for each row."""

from __future__ import annotations

import math
from collections.abc import Callable

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block


def _row_kernel(name: str) -> Callable[..., Array]:
    """Make the kernel `name` of softmax.cu, applied along any axis of its arrays."""

    def forward(x: Array, axis: int) -> Array:
        return apply_to_rows(axis, x)

    def backward(g: Array, out: Array, axis: int) -> Array:
        return apply_to_rows(axis, g, out)

    def apply_to_rows(axis: int, *arrays: Array) -> Array:
        import cupy

        shape = arrays[0].shape
        axis = axis if shape else 0
        rows = [cupy.ascontiguousarray(cupy.moveaxis(cupy.atleast_1d(a), axis, -1)) for a in arrays]
        out = cupy.empty(rows[0].shape, rows[0].dtype)
        *lead, n = out.shape
        for_each_block("softmax", name, math.prod(lead), *rows, out, n)
        return cupy.moveaxis(out, -1, axis).reshape(shape)

    return backward if name.endswith("backward") else forward


softmax: Callable[..., Array] = _row_kernel("softmax")
softmax_backward: Callable[..., Array] = _row_kernel("softmax_backward")
log_softmax: Callable[..., Array] = _row_kernel("log_softmax")
log_softmax_backward: Callable[..., Array] = _row_kernel("log_softmax_backward")


def cross_entropy(x: Array, target: Array) -> tuple[Array, Array, Array]:
    """-log softmax(x) at the target class, and what the gradient needs; all (rows,)."""
    import cupy

    rows, n = x.shape
    losses, top, log_sum = (cupy.empty(rows, x.dtype) for _ in range(3))
    x, target = cupy.ascontiguousarray(x), cupy.ascontiguousarray(target, "int64")
    for_each_block("softmax", "cross_entropy", rows, x, target, losses, top, log_sum, n)
    return losses, top, log_sum


def cross_entropy_backward(g: Array, x: Array, target: Array, top: Array, log_sum: Array) -> Array:
    """The gradient of x: (softmax(x) - one_hot(target)) g; g: (rows,)."""
    import cupy

    grad = cupy.empty(x.shape, x.dtype)
    g, x = cupy.ascontiguousarray(g), cupy.ascontiguousarray(x)
    target = cupy.ascontiguousarray(target, "int64")
    n = x.shape[1]
    for_each("softmax", "cross_entropy_backward", x.size, g, x, target, top, log_sum, grad, n)
    return grad
