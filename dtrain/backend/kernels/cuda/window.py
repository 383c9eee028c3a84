"""Pooling, and im2col for convolution: a thread writes one element, without atomic additions."""

from __future__ import annotations

from typing import Any

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each
from dtrain.backend.kernels.reference.window import Pair, window_counts


def _launch(name: str, arrays: tuple, sizes: tuple, hw: Any, kernel: Any, how: tuple) -> None:
    """Launch a kernel of `window.cu`, of a thread for each element of the last of `arrays`."""
    stride, padding, dilation = how
    counts = window_counts(hw, kernel, *how)
    windows = (*hw, *kernel, *counts, *stride, *padding, *dilation)
    for_each("window", name, arrays[-1].size, *arrays, *sizes, *windows)


def im2col(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, by_sample: bool = False
) -> Array:
    """Copy the elements of each window; padding is zeros.

    Returns (c, kh, kw, n, oh, ow), or, if `by_sample`, (n, c, kh, kw, oh, ow).
    """
    import cupy

    (n, c, *hw), how = x.shape, (stride, padding, dilation)
    counts = window_counts(hw, kernel, *how)
    out = cupy.empty((n, c, *kernel, *counts) if by_sample else (c, *kernel, n, *counts), x.dtype)
    _launch("im2col", (cupy.ascontiguousarray(x), out), (n, c, by_sample), hw, kernel, how)
    return out


def im2col_beside(
    x: Array, g: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Array, Array]:
    """The patches of x, (c, kh, kw, n, oh, ow), and a copy of g, (n, m, oh, ow), as (m, n, oh, ow),
    in one launch."""
    import cupy

    (n, c, *hw), (_, m, *counts) = x.shape, g.shape
    rows, windows = c * kernel[0] * kernel[1], n * counts[0] * counts[1]
    both = cupy.empty((rows + m, windows), x.dtype)
    arrays = cupy.ascontiguousarray(x), cupy.ascontiguousarray(g, x.dtype), both
    _launch("im2col_beside", arrays, (n, c, m), hw, kernel, (stride, padding, dilation))
    return both[:rows].reshape(c, *kernel, n, *counts), both[rows:].reshape(m, n, *counts)


def col2im(
    patches: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair, by_sample: bool = False,
    before: Array | None = None,
) -> Array:  # fmt: skip
    """Add the patches to their windows of images, (n, c, *hw), zeros or a copy of `before`: im2col
    transposed."""
    import cupy

    if by_sample:
        n, c, kh, kw = patches.shape[:4]
    else:
        c, kh, kw, n = patches.shape[:4]
    out = cupy.empty((n, c, *hw), patches.dtype)
    before = None if before is None else cupy.ascontiguousarray(before, patches.dtype)
    arrays = cupy.ascontiguousarray(patches), before, out
    _launch("col2im", arrays, (n, c, by_sample), hw, (kh, kw), (stride, padding, dilation))
    return out


def max_pool(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Array, Array]:
    """The maximum of each window, (n, c, oh, ow), and its position in the window."""
    import cupy

    (n, c, *hw), how = x.shape, (stride, padding, dilation)
    out = cupy.empty((n, c, *window_counts(hw, kernel, *how)), x.dtype)
    positions = cupy.empty(out.shape, cupy.int32)
    _launch("max_pool", (cupy.ascontiguousarray(x), out, positions), (), hw, kernel, how)
    return out, positions


def max_pool_backward(
    g: Array, positions: Array, hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """The gradient of x, (n, c, *hw): the maximum of a window gets that of the window."""
    import cupy

    grad = cupy.empty((*g.shape[:2], *hw), g.dtype)
    arrays = cupy.ascontiguousarray(g), positions, grad
    _launch("max_pool_backward", arrays, (), hw, kernel, (stride, padding, dilation))
    return grad


def avg_pool(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The mean of each window, (n, c, oh, ow), padding counted as zeros."""
    import cupy

    (n, c, *hw), how = x.shape, (stride, padding, (1, 1))
    out = cupy.empty((n, c, *window_counts(hw, kernel, *how)), x.dtype)
    _launch("avg_pool", (cupy.ascontiguousarray(x), out), (), hw, kernel, how)
    return out


def avg_pool_backward(g: Array, hw: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The gradient of x, (n, c, *hw)."""
    import cupy

    grad = cupy.empty((*g.shape[:2], *hw), g.dtype)
    arrays = cupy.ascontiguousarray(g), grad
    _launch("avg_pool_backward", arrays, (), hw, kernel, (stride, padding, (1, 1)))
    return grad
