"""Where implicit.py finds the windows of a convolution, and which of them it takes at once."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dtrain.backend.kernels.cpu.amx import ROW_BYTES
from dtrain.backend.kernels.cpu.amx_pack import DEPTH, PARTS
from dtrain.backend.kernels.cpu.implicit_loops import BLOCKS
from dtrain.backend.kernels.reference.window import Pair

_BYTES = 3 << 19  # of rows and sums that are in use at once: they stay in the level 2 cache
_WINDOWS = 256  # at least, that are multiplied with a weight as it is read


class Windows(NamedTuple):
    """Where the rows of windows are."""

    images: int  # at a time
    high: int  # of an image with its padding
    wide: int
    places: np.ndarray  # of the first rows of all windows of so many images, and of a few more
    shifts: np.ndarray  # to the rows of taps and blocks of channels


def _image_bytes(c: int, m: int, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> int:
    """Bytes of rows and sums of an image with `size` windows."""
    high, wide = _extent(size, kernel, stride, dilation)
    return high * wide * -(-c // DEPTH) * PARTS * ROW_BYTES + 4 * m * math.prod(size)


def _extent(size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    """The height and width of what `size` windows reach over."""
    high, wide = (
        (o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, stride, kernel, dilation)
    )
    return high, wide


def bands(
    c: int, m: int, size: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[int, Pair]]:
    """Cut a large image's windows: the first row of some, and their numbers of rows and columns."""
    how = kernel, stride, dilation
    one, two = (_image_bytes(c, m, (rows, size[1]), *how) for rows in (1, 2))
    rows = max((_BYTES - one) // (two - one) + 1, -(-_WINDOWS // size[1]))
    count = max(round(size[0] / rows), 1)
    rows = -(-size[0] // count)
    return ((top, (min(rows, size[0] - top), size[1])) for top in range(0, size[0], rows))


@functools.lru_cache(512)
def find_windows(
    n: int, c: int, m: int, size: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> Windows:
    """The windows of n images, `size` in an image."""
    high, wide = _extent(size, kernel, stride, dilation)
    area, blocks = math.prod(size), -(-c // DEPTH)
    image_bytes = _image_bytes(c, m, size, kernel, stride, dilation)
    images = min(max(_BYTES // image_bytes, -(-_WINDOWS // area), 1), n)
    image, row, column = (np.arange(k) for k in (images, *size))
    places = (image[:, None, None] * high + row[:, None] * stride[0]) * wide + column * stride[1]
    places = np.pad(places.reshape(-1), (0, BLOCKS * DEPTH), "edge") * ROW_BYTES
    taps = np.arange(kernel[0])[:, None] * dilation[0] * wide + np.arange(kernel[1]) * dilation[1]
    planes = np.arange(blocks) * (PARTS * images * high * wide)
    shifts = (taps.reshape(-1, 1) + planes).reshape(-1) * ROW_BYTES
    return Windows(images, high, wide, places, shifts)
