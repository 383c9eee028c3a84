"""Convolution over two axes on AMX as one product of windows and weight, without im2col.

Images are written once, with their padding, as rows of 32 channels in the bfloat16 parts of
product.py; a window's row for a tap lies a fixed shift after that of its first tap. So 16 windows'
rows are copied to a tile just before it is multiplied, or are one as they lie. The gradient of x is
the convolution of the gradient with the rotated weight, that of the weight a product over all
windows. implicit_plan.py says where the windows are; implicit_loops.py has the loops.

The sum of an output is over taps, then channels, in one order for all shapes.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu import amx
from dtrain.backend.kernels.cpu.amx import ROW_BYTES, aligned_memory, tile_configuration
from dtrain.backend.kernels.cpu.amx_pack import DEPTH, LANES, PARTS
from dtrain.backend.kernels.cpu.implicit_loops import (
    BLOCK_BYTES,
    BLOCKS,
    LEFT_BYTES,
    OUTPUTS,
    RIGHT_BYTES,
    SQUARE_BYTES,
    WIDTH,
    multiply_gradients,
    multiply_windows,
    pack_images,
    pack_weight,
    write_images,
)
from dtrain.backend.kernels.cpu.implicit_plan import Windows, bands, find_windows
from dtrain.backend.kernels.reference.window import Pair, window_counts
from dtrain.backend.settings import get_convolution_precision
from dtrain.backend.threads import blas_threads, run_together

_WORTHWHILE = 1 << 22  # multiplications
_USES = 100  # of a number of an image
_WINDOWS = 96, 320  # at least: of a product of gradients, of one that packs a weight
_PART = 1 << 23  # multiplications that are worth a thread
_CONFIGURATION = tile_configuration()
_CONFIGURATION_ADDRESS = _CONFIGURATION.ctypes.data


def is_worthwhile(
    windows: int, c: int, m: int, kernel: Pair, stride: Pair, packs_weight: bool
) -> bool:
    """Whether there is an AMX to compute so many windows, and packed numbers are used often."""
    taps, padded = math.prod(kernel), -(-c // DEPTH) * DEPTH * -(-m // WIDTH) * WIDTH
    return (
        windows * taps * c * m >= _WORTHWHILE
        and windows >= _WINDOWS[packs_weight]
        and 2 * c * m >= padded
        and m * taps >= _USES * math.prod(stride)
        and get_convolution_precision() != "ieee"
        and amx.is_available()
    )


class _Images:
    """Writes a few images at a time as rows."""

    def __init__(self, x: np.ndarray, windows: Windows, padding: Pair) -> None:
        """padding : rows and columns before an image; what a window reaches after it is zero, too.
        A negative one leaves out the image's first."""
        axes = zip(padding, x.shape[2:], windows[1:3])
        (top, first, last), (left, begin, end) = (
            (max(before, 0), max(-before, 0), min(length, room - before))
            for before, length, room in axes
        )
        self._x = np.ascontiguousarray(x[:, :, first:last, begin:end])
        self._windows, self._corner = windows, (top, left)
        self.plane = windows.images * windows.high * windows.wide * ROW_BYTES
        self._memory = aligned_memory(-(-x.shape[1] // DEPTH) * PARTS * self.plane + LEFT_BYTES)
        self._memory[:-LEFT_BYTES] = 0
        self.rows = self._memory.ctypes.data

    def pack(self) -> Iterator[tuple[int, int]]:
        """Write a few images, yield the first one and their number, and so on."""
        (n, *shape), images = self._x.shape, self._windows.images
        scratch = self.rows + self._memory.size - LEFT_BYTES
        for first in range(0, n, images):
            count = min(images, n - first)
            sizes = np.array([count, *shape, *self._windows[1:3], *self._corner])
            address = self._x.ctypes.data + 4 * first * math.prod(shape)
            if not pack_images(address, sizes, self.rows, self.plane, scratch):
                raise _NoFiniteParts
            yield first, count


def _pack_weight(weight: np.ndarray, taps: list[int], to_outputs: bool) -> tuple[np.ndarray, int]:
    """Taps of a weight, (m, c, kh, kw), as right panels, and the number of panels."""
    weight, (m, c, *kernel) = np.ascontiguousarray(weight), weight.shape
    lanes, numbers = (m, c) if to_outputs else (c, m)
    panels = -(-lanes // WIDTH)
    out = aligned_memory(len(taps) * -(-numbers // DEPTH) * panels * RIGHT_BYTES)
    squares = np.empty(len(taps) * SQUARE_BYTES, np.uint8)
    if not pack_weight(
        weight.ctypes.data, m, c, math.prod(kernel), np.array(taps, np.int64), to_outputs,
        squares.ctypes.data, out.ctypes.data,
    ):  # fmt: skip
        raise _NoFiniteParts
    return out, panels


def _convolve_images(x: np.ndarray, out: np.ndarray, multiplications: int, *how: Any) -> None:
    """`_convolve` by threads for some images each."""
    parts = min(max(multiplications // _PART, 1), blas_threads(), len(x))
    cuts = [len(x) * i // parts for i in range(parts + 1)]
    run_together(
        [functools.partial(_convolve, x[a:b], out[a:b], *how) for a, b in itertools.pairwise(cuts)]
    )


def _convolve(
    x: np.ndarray, out: np.ndarray, panels: tuple[np.ndarray, int], bias: np.ndarray | None,
    kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
) -> None:  # fmt: skip
    """Write the cross-correlation of x with the panels of a weight to out, (n, m, oh, ow)."""
    (n, c), m, (weight, count) = x.shape[:2], out.shape[1], panels
    pitch = 4 * WIDTH * count + ROW_BYTES  # rows a power of two apart would share cache lines
    memory = aligned_memory(BLOCK_BYTES + BLOCKS * LEFT_BYTES)
    added = np.zeros(WIDTH * count, np.float32)
    if bias is not None:
        added[:m] = bias
    for top, size in bands(c, m, out.shape[2:], kernel, stride, dilation):
        windows = find_windows(n, c, m, size, kernel, stride, dilation)
        area = math.prod(size)
        sums = aligned_memory((windows.images * area + LANES) * pitch)
        images = _Images(x, windows, (padding[0] - top * stride[0], padding[1]))
        for first, some in images.pack():
            multiply_windows(
                images.rows, images.plane, windows.places, some * area, stride[1] * ROW_BYTES,
                windows.shifts, weight.ctypes.data, count, memory.ctypes.data, sums.ctypes.data,
                pitch, _CONFIGURATION_ADDRESS,
            )  # fmt: skip
            write_images(
                sums.ctypes.data, pitch, some, area, m, added.ctypes.data,
                out.ctypes.data + first * out.strides[0] + top * out.strides[2], out.strides[1],
            )  # fmt: skip


class _NoFiniteParts(Exception):
    """A number that is not finite, or rounds to infinity in bfloat16."""


def _or_none(convolve: Callable) -> Callable:
    """A function that returns None where a number has no finite parts."""

    @functools.wraps(convolve)
    def wrapped(*args: Any) -> np.ndarray | None:
        try:
            return convolve(*args)
        except _NoFiniteParts:
            return None

    return wrapped


@_or_none
def conv(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair,
    dilation: Pair,
) -> np.ndarray:  # fmt: skip
    """Cross-correlation of x, (n, c, h, w), with weight, (m, c, kh, kw), plus bias."""
    kernel = weight.shape[2:]
    size = window_counts(x.shape[2:], kernel, stride, padding, dilation)
    panels = _pack_weight(weight, list(range(math.prod(kernel))), True)
    out = np.empty((len(x), len(weight), *size), np.float32)
    work = out.size * weight[0].size
    _convolve_images(x, out, work, panels, bias, kernel, stride, padding, dilation)
    return out


@_or_none
def conv_grad_x(
    g: np.ndarray, weight: np.ndarray, hw: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """The gradient of x, (n, c, *hw), if the stride is 1: convolution with the rotated weight."""
    c, *kernel = weight.shape[1:]
    taps = list(range(math.prod(kernel)))[::-1]
    panels, out = _pack_weight(weight, taps, False), np.empty((len(g), c, *hw), np.float32)
    top, left = (d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding))
    work = out.size * len(taps) * g.shape[1]
    _convolve_images(g, out, work, panels, None, tuple(kernel), (1, 1), (top, left), dilation)
    return out


@_or_none
def conv_grad_weight(
    g: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """The gradient of weight, (m, c, *kernel)."""
    (n, c), m, size = x.shape[:2], g.shape[1], g.shape[2:]
    taps, columns = math.prod(kernel), math.prod(kernel) * -(-c // DEPTH) * DEPTH
    pitch = 4 * columns + ROW_BYTES
    sums = aligned_memory(-(-m // LANES) * LANES * pitch)
    parts = min(max(g.size * c * taps // _PART, 1), blas_threads(), -(-m // LANES))
    cuts = [-(-m // LANES) * i // parts * LANES for i in range(parts + 1)]
    left_bytes = min(-(-m // LANES), OUTPUTS // LANES) * BLOCKS * LEFT_BYTES
    memories = [
        aligned_memory(BLOCK_BYTES + BLOCKS * RIGHT_BYTES + left_bytes) for _ in range(parts)
    ]
    for top, rows in bands(c, m, size, kernel, stride, dilation):
        windows, area = find_windows(n, c, m, rows, kernel, stride, dilation), math.prod(rows)
        images = _Images(x, windows, (padding[0] - top * stride[0], padding[1]))
        by_output = np.ascontiguousarray(g[:, :, top : top + rows[0]].swapaxes(0, 1))
        for first, some in images.pack():
            tasks = [
                functools.partial(
                    multiply_gradients,
                    by_output.ctypes.data + 4 * (begin * n + first) * area, 4 * n * area,
                    min(end, m) - begin, images.rows, images.plane, windows.places, some * area,
                    windows.shifts, memory.ctypes.data, sums.ctypes.data + begin * pitch, pitch,
                    top > 0 or first > 0, _CONFIGURATION_ADDRESS,
                )
                for (begin, end), memory in zip(itertools.pairwise(cuts), memories)
            ]  # fmt: skip
            if not all(run_together(tasks)):
                raise _NoFiniteParts
    total = sums.view(np.float32).reshape(-1, pitch // 4)[:m, :columns]
    total = total.reshape(m, taps, columns // taps)[:, :, :c]
    return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(m, c, *kernel)
