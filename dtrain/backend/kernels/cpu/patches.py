"""The elements of windows, copied to rows of a matrix and added to images again."""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.layout import channels_last
from dtrain.backend.kernels.cpu.vector import LANES, load, store
from dtrain.backend.kernels.reference.window import Pair


def copy_tiles(x: np.ndarray, kernel: Pair, size: Pair) -> np.ndarray:
    """Copy windows that do not overlap to rows: (n * oh * ow, c * kh * kw)."""
    (n, c), (kh, kw), (oh, ow) = x.shape[:2], kernel, size
    tiles = x[:, :, : oh * kh, : ow * kw].reshape(n, c, oh, kh, ow, kw)
    return tiles.transpose(0, 2, 4, 1, 3, 5).reshape(n * oh * ow, c * kh * kw)


def write_tiles(rows: np.ndarray, kernel: Pair, size: Pair, out: np.ndarray) -> None:
    """Copy the rows of `copy_tiles` back to the windows of images, out."""
    (n, c), (kh, kw), (oh, ow) = out.shape[:2], kernel, size
    tiles = rows.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 1, 4, 2, 5)
    out[:, :, : oh * kh, : ow * kw] = tiles.reshape(n, c, oh * kh, ow * kw)


def to_channels_last(x: np.ndarray, padding: Pair = (0, 0)) -> np.ndarray:
    """Copy float32 images (n, c, h, w) to (n, h, w, c), padded by zeros."""
    n, c, h, w = x.shape
    out = np.zeros((n, h + 2 * padding[0], w + 2 * padding[1], c), np.float32)
    channels_last(x, *padding, out)
    return out


def copy_patches(
    x: np.ndarray, kernel: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """Copy the elements of each window to a row: (n * oh * ow, kh * kw * c)."""
    n, c = x.shape[:2]
    out = np.empty((n * math.prod(size), math.prod(kernel) * c), x.dtype)
    _copy_windows(to_channels_last(x, padding), kernel, size, stride, dilation, out)
    return out


@compiled
def _copy_windows(
    x: np.ndarray, kernel: Pair, size: Pair, stride: Pair, dilation: Pair, out: np.ndarray
) -> None:
    """Copy the windows of x, (n, h, w, c), padded, to the rows of out, (windows, kh * kw * c)."""
    n, h, w, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    runs, run = (1, kernel[1] * c) if dilation[1] == 1 else (kernel[1], c)
    to = 0
    for image in range(n):
        for y in range(size[0]):
            for k in range(size[1]):
                for i in range(kernel[0]):
                    row = (image * h + y * stride[0] + i * dilation[0]) * w + k * stride[1]
                    for j in range(runs):
                        at = (row + j * dilation[1]) * c
                        for e in range(0, run, LANES):
                            store(target, to + e, load(source, at + e))
                        to += run


@compiled
def add_windows(
    patches: np.ndarray, kernel: Pair, size: Pair, stride: Pair, dilation: Pair, out: np.ndarray
) -> None:
    """Add the rows of patches to their windows of out: the transpose of `_copy_windows`."""
    n, h, w, c = out.shape
    source, target = patches.reshape(-1), out.reshape(-1)
    runs, run = (1, kernel[1] * c) if dilation[1] == 1 else (kernel[1], c)
    at = 0
    for image in range(n):
        for y in range(size[0]):
            for k in range(size[1]):
                for i in range(kernel[0]):
                    row = (image * h + y * stride[0] + i * dilation[0]) * w + k * stride[1]
                    for j in range(runs):
                        to = (row + j * dilation[1]) * c
                        for e in range(0, run, LANES):
                            store(target, to + e, load(target, to + e) + load(source, at + e))
                        at += run
