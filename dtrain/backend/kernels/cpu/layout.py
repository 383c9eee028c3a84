"""Transposes: of matrices, and between channels first and channels last; batches cut to the size of
a cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.vector import LANES, load, store, transpose

CACHED = 3 << 16  # elements that fit into the level 2 cache of a core, often 1 MB


def split_images(n: int, elements: int) -> Iterator[slice]:
    """Slices of n images that fit into the cache, if one image needs so many elements."""
    count = max(CACHED // max(elements, 1), 1)
    return (slice(start, min(start + count, n)) for start in range(0, n, count))


@compiled
def _channels_last(
    x: np.ndarray, n: int, c: int, h: int, w: int, out: np.ndarray, start: int, high: int,
    wide: int, square: np.ndarray,
) -> None:  # fmt: skip
    """Copy float32 images x, (n, c, h, w), to out, (n, high, wide, c), from element `start` on.
    x and out are flat arrays; square has room for 16 vectors."""
    for image in range(n):
        for first in range(0, c, LANES):
            at, to = (image * c + first) * h * w, start + image * high * wide * c + first
            for p in range(0, h * w, LANES):
                count = h * w - p
                if count >= LANES:
                    count = LANES
                    transpose(x, at + p, h * w, square, 0, LANES)
                else:
                    for i in range(count):
                        for j in range(LANES):
                            square[i * LANES + j] = x[at + p + i + j * h * w]
                for i in range(count):
                    y, across = (p + i) // w, (p + i) % w
                    store(out, to + (y * wide + across) * c, load(square, i * LANES))


def channels_last(x: np.ndarray, top: int, left: int, out: np.ndarray) -> None:
    """Copy float32 images x, (n, c, h, w), to out, (n, high, wide, c), from row `top` and column
    `left` on."""
    high, wide = out.shape[1:3]
    start, square = (top * wide + left) * out.shape[3], np.empty(LANES * LANES, np.float32)
    _channels_last(x.reshape(-1), *x.shape, out.reshape(-1), start, high, wide, square)


@compiled
def _channels_first(x: np.ndarray, n: int, area: int, c: int, out: np.ndarray) -> None:
    """Copy float32 images x, (n, area, c), to out, (n, c, area); both are flat arrays."""
    for image in range(n):
        for first in range(0, c, LANES):
            at, to = image * area * c + first, (image * c + first) * area
            for p in range(0, area, LANES):
                if p + LANES <= area:
                    transpose(x, at + p * c, c, out, to + p, area)
                else:
                    for i in range(p, area):
                        for j in range(LANES):
                            out[to + j * area + i] = x[at + i * c + j]


def channels_first(x: np.ndarray, out: np.ndarray) -> None:
    """Copy float32 images x, (n, h, w, c), to out, (n, c, h, w)."""
    n, h, w, c = x.shape
    _channels_first(x.reshape(-1), n, h * w, c, out.reshape(-1))


@compiled
def _transpose(x: np.ndarray, out: np.ndarray) -> None:
    """Copy float32 matrices x, (n, rows, columns), to out, (n, columns, rows)."""
    n, rows, columns = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    for matrix in range(n):
        first = matrix * rows * columns
        for i in range(0, rows, LANES):
            for j in range(0, columns, LANES):
                at, to = first + i * columns + j, first + j * rows + i
                if i + LANES <= rows and j + LANES <= columns:
                    transpose(source, at, columns, target, to, rows)
                    continue
                for a in range(min(LANES, rows - i)):
                    for b in range(min(LANES, columns - j)):
                        target[to + b * rows + a] = source[at + a * columns + b]


def contiguous(x: np.ndarray) -> np.ndarray:
    """x with its elements in order in memory; x itself if they are."""
    if x.ndim < 2 or x.dtype != np.float32 or x.flags.c_contiguous:
        return np.ascontiguousarray(x)
    swapped = x.swapaxes(-1, -2)
    if not swapped.flags.c_contiguous:
        return np.ascontiguousarray(x)
    out = np.empty(x.shape, np.float32)
    _transpose(swapped.reshape(-1, *swapped.shape[-2:]), out.reshape(-1, *x.shape[-2:]))
    return out
