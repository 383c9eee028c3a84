"""Transposes between channels first and channels last; batches cut to the size of a cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.vector import LANES, load, store, transpose

_CACHED = 3 << 16  # elements that fit into the level 2 cache of a core, often 1 MB


def split_images(n: int, elements: int) -> Iterator[slice]:
    """Slices of n images that fit into the cache, if one image needs so many elements."""
    count = max(_CACHED // max(elements, 1), 1)
    return (slice(start, min(start + count, n)) for start in range(0, n, count))


@compiled
def channels_last(x: np.ndarray, top: int, left: int, out: np.ndarray) -> None:
    """Copy float32 images x, (n, c, h, w), to out, (n, high, wide, c), from row `top` and column
    `left` on."""
    n, c, h, w = x.shape
    high, wide = out.shape[1:3]
    square = np.empty(LANES * LANES, np.float32)
    source, target = x.reshape(-1), out.reshape(-1)
    for image in range(n):
        for first in range(0, c, LANES):
            at = (image * c + first) * h * w
            for p in range(0, h * w, LANES):
                count = min(h * w - p, LANES)
                if count == LANES:
                    transpose(source, at + p, h * w, square, 0, LANES)
                else:
                    for i in range(count):
                        for j in range(LANES):
                            square[i * LANES + j] = source[at + p + i + j * h * w]
                for i in range(count):
                    y, across = (p + i) // w, (p + i) % w
                    to = ((image * high + top + y) * wide + left + across) * c + first
                    store(target, to, load(square, i * LANES))


@compiled
def channels_first(x: np.ndarray, out: np.ndarray) -> None:
    """Copy float32 images x, (n, h, w, c), to out, (n, c, h, w)."""
    n, h, w, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    for image in range(n):
        for first in range(0, c, LANES):
            at, to = image * h * w * c + first, (image * c + first) * h * w
            for p in range(0, h * w, LANES):
                if p + LANES <= h * w:
                    transpose(source, at + p * c, c, target, to + p, h * w)
                else:
                    for i in range(p, h * w):
                        for j in range(LANES):
                            target[to + j * h * w + i] = source[at + i * c + j]
