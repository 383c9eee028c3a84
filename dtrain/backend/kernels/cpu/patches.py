"""im2col and col2im in float32, for the few windows of small images with many channels.

As in reference/window.py, but row by row of the windows, with vectors that are partly filled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.planes import gather_run
from dtrain.backend.kernels.cpu.vector import LANES, lane_copier
from dtrain.backend.kernels.cpu.window import windows_inside
from dtrain.backend.kernels.reference.window import Pair, window_counts

_add_lanes, _add_apart = lane_copier(1, 1, adds=True), lane_copier(1, 2, adds=True)


@inlined
def _add_run(source: Any, at: Any, target: Any, to: Any, by: Any, count: Any) -> None:
    """Add `count` elements of a flat array to those of another, `by` apart."""
    if by <= 2:
        for j in range(0, count, LANES):
            if by == 2:
                _add_apart(source, at + j, target, to + 2 * j, min(count - j, LANES))
            else:
                _add_lanes(source, at + j, target, to + j, min(count - j, LANES))
    else:
        for j in range(count):
            target[to + j * by] += source[at + j]


@compiled
def _im2col(
    x: np.ndarray, shape: tuple[int, int, int, int], kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair, size: Pair, out: np.ndarray,
) -> None:  # fmt: skip
    """Copy the windows of x, (n, c, h, w) = shape, to out, (c, *kernel, n, *size), zeros."""
    n, c, h, w = shape
    for row in range(c * kernel[0] * kernel[1]):
        channel, i = row // (kernel[0] * kernel[1]), row // kernel[1] % kernel[0]
        top, left = i * dilation[0] - padding[0], row % kernel[1] * dilation[1] - padding[1]
        low, high = windows_inside(w, size[1], stride[1], left)
        first, last = windows_inside(h, size[0], stride[0], top)
        for image in range(n):
            for y in range(first, last):
                line = (image * c + channel) * h + y * stride[0] + top
                to = ((row * n + image) * size[0] + y) * size[1] + low
                at = line * w + low * stride[1] + left
                gather_run(x, at, stride[1], out, to, high - low)


@compiled
def _col2im(
    patches: np.ndarray, shape: tuple[int, int, int, int], kernel: Pair, stride: Pair,
    padding: Pair, dilation: Pair, size: Pair, out: np.ndarray,
) -> None:  # fmt: skip
    """Add patches, (c, *kernel, n, *size), to their windows of out, (n, c, h, w) = shape."""
    n, c, h, w = shape
    for row in range(c * kernel[0] * kernel[1]):
        channel, i = row // (kernel[0] * kernel[1]), row // kernel[1] % kernel[0]
        top, left = i * dilation[0] - padding[0], row % kernel[1] * dilation[1] - padding[1]
        low, high = windows_inside(w, size[1], stride[1], left)
        first, last = windows_inside(h, size[0], stride[0], top)
        for image in range(n):
            for y in range(first, last):
                line = (image * c + channel) * h + y * stride[0] + top
                at = ((row * n + image) * size[0] + y) * size[1] + low
                to = line * w + low * stride[1] + left
                _add_run(patches, at, out, to, stride[1], high - low)


def im2col(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    """The elements of each window, (c, kh, kw, n, oh, ow); padding is zeros."""
    size = window_counts(x.shape[2:], kernel, stride, padding, dilation)
    out = np.zeros((x.shape[1], *kernel, len(x), *size), np.float32)
    where = kernel, stride, padding, dilation, size
    _im2col(x.reshape(-1), x.shape, *where, out.reshape(-1))
    return out


def col2im(
    patches: np.ndarray, hw: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """The patches added to their windows of images of zeros, (n, c, *hw)."""
    c, kh, kw, n, oh, ow = patches.shape
    out = np.zeros((n, c, *hw), np.float32)
    where = (kh, kw), stride, padding, dilation, (oh, ow)
    _col2im(patches.reshape(-1), out.shape, *where, out.reshape(-1))
    return out
