"""Softmax, log-softmax and cross-entropy of logits: a block of threads for each row."""

from __future__ import annotations

import math
from collections.abc import Callable

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each, for_each_block, real_dtype


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


#: A class that no target has.
_NONE = -(1 << 63)


def cross_entropy(x: Array, target: Array) -> tuple[Array, Array, Array]:
    """-log softmax(x) at the target class, and what the gradient needs; all (rows,)."""
    losses, _, top, log_sum = _losses(x, target, None, _NONE)
    return losses, top, log_sum


def cross_entropy_backward(g: Array, x: Array, target: Array, top: Array, log_sum: Array) -> Array:
    """The gradient of x: (softmax(x) - one_hot(target)) g; g: (rows,)."""
    import cupy

    scales = cupy.ones(len(x), real_dtype(x.dtype))
    return _losses_backward(g, x, target, _NONE, scales, None, top, log_sum)


def mean_cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Array, Array | None, Array, Array]:
    """The loss of classes with weights, and what the gradient needs."""
    import cupy

    losses, scales, top, log_sum = _losses(x, target, weight, ignore_index)
    if reduction == "none":
        return losses.astype(x.dtype, copy=False), scales, None, top, log_sum
    out, total = cupy.empty((), x.dtype), cupy.empty((), top.dtype)
    mean, rows = reduction == "mean", len(x)
    arrays = out, total, losses, scales
    for_each_block("softmax", "cross_entropy_sums", 1, *arrays, mean, rows)
    return out, scales, total, top, log_sum


def mean_cross_entropy_backward(
    g: Array, x: Array, target: Array, scale: Array, total: Array | None, top: Array,
    log_sum: Array, ignore_index: int,
) -> Array:  # fmt: skip
    """The gradient of x; scale to log_sum: what `mean_cross_entropy` returned beside the loss."""
    return _losses_backward(g, x, target, ignore_index, scale, total, top, log_sum)


def _losses(x: Array, target: Array, weight: Array | None, ignore_index: int) -> tuple:
    """The losses times the weights of their classes, these weights, and for the gradient the
    maximum m and log(sum(exp(x - m))); all (rows,)."""
    import cupy

    rows, n = x.shape
    losses, scales, top, log_sum = cupy.empty((4, rows), real_dtype(x.dtype))
    x, target = cupy.ascontiguousarray(x), cupy.ascontiguousarray(target, "int64")
    weight = None if weight is None else cupy.ascontiguousarray(weight)
    arrays = x, target, weight, losses, scales, top, log_sum
    for_each_block("softmax", "cross_entropy", rows, *arrays, ignore_index, n, param=weight)
    return losses, scales, top, log_sum


def _losses_backward(
    g: Array, x: Array, target: Array, ignore_index: int, scales: Array, total: Array | None,
    top: Array, log_sum: Array,
) -> Array:  # fmt: skip
    import cupy

    grad = cupy.empty(x.shape, x.dtype)
    g, x = cupy.ascontiguousarray(g, x.dtype), cupy.ascontiguousarray(x)
    target = cupy.ascontiguousarray(target, "int64")
    real = real_dtype(x.dtype)
    scales, top, log_sum = (cupy.ascontiguousarray(a, real) for a in (scales, top, log_sum))
    total = None if total is None else total.astype(real, copy=False)
    arrays = g, x, target, scales, total, top, log_sum, grad
    for_each("softmax", "cross_entropy_backward", x.size, *arrays, ignore_index, x.shape[1])
    return grad
