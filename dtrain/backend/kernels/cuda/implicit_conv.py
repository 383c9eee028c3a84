"""Convolution without patches in memory, on tensor cores or in float32: conv.cu."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each_block
from dtrain.backend.kernels.cuda.parts import contiguous
from dtrain.backend.kernels.cuda.tensor_cores import allows_tensor_float, instruction, limits
from dtrain.backend.kernels.reference.window import Pair, window_counts

#: tile.cu's, and so conv.cu's
_TILE, _WIDTH = 64, 64
#: With more channels cuBLAS's product gains more than patches take (estimated, not measured): on
#: tensor cores, and in float32, where threads read the tiles' elements one by one.
_CHANNELS, _EXACT_CHANNELS = 256, 64
#: The blocks among which the sum of a weight's gradient is divided, if there are as many samples.
_BLOCKS = 256

_PAIRS = "step", "shift", "wide", "divisor"
_FIELDS = (
    *("n", "c", "h", "w", "kh", "kw", "oh", "ow", "m"),
    *(f"{name}_{axis}" for name in _PAIRS for axis in "yx"),
)
#: The kernels' struct Images.
_IMAGES = np.dtype([(name, "i4") for name in _FIELDS])


def takes(x: Array, windows: int, shape: tuple[int, ...], groups: int) -> bool:
    """Whether the kernels take a convolution of arrays of x's dtype by a weight of this shape.

    windows : of all samples, or for the gradient of images their pixels
    """
    channels, kind = max(shape[:2]), x.dtype.char
    if groups != 1 or not 0 < channels <= _CHANNELS or not 0 < windows < 1 << 30:
        return False
    if kind == "f" and channels <= _EXACT_CHANNELS:
        return True
    return bool(instruction(kind, allows_tensor_float())) and limits()[0]


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """Cross-correlation of x with weight, (n, m, oh, ow), plus bias."""
    import cupy

    windows = window_counts(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    out = cupy.empty((len(x), len(weight), *windows), x.dtype)
    shift = -padding[0], -padding[1]
    images = _images(x, weight.shape[2:], out, stride, shift, dilation, (1, 1))
    _convolve(weight, x, bias, None, out, images)
    return out


def conv_grad_x(
    g: Array, weight: Array, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    before: Array | None,
) -> Array:  # fmt: skip
    """The gradient of x, (n, c, *hw), plus `before`: each of its elements is a sum over the windows
    that it lies in."""
    import cupy

    grad = cupy.empty((len(g), weight.shape[1], *hw), g.dtype)
    wide = -dilation[0], -dilation[1]
    images = _images(g, weight.shape[2:], grad, (1, 1), padding, wide, stride)
    _convolve(weight.swapaxes(0, 1), g, None, before, grad, images)
    return grad


def _convolve(
    weight: Array, x: Array, bias: Array | None, before: Array | None, out: Array, images: Any
) -> None:
    weight, x, bias, before = contiguous(weight, x, bias, before)
    n, m, *windows = out.shape
    blocks = -(-n * math.prod(windows) // _TILE) * -(-m // _TILE)
    how = _compiled(weight, math.prod(weight.shape[1:]))
    for_each_block("conv", "convolve", blocks, weight, x, bias, before, out, images, **how)


def conv_grad_weight(
    g: Array, x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """The gradient of weight, (m, c, *kernel): in parts, of samples, that are added in order."""
    import cupy

    g, x = contiguous(g, x)
    (n, m), size = g.shape[:2], x.shape[1] * math.prod(kernel)
    tiles = -(-m // _TILE) * -(-size // _TILE)
    parts = max(1, min(n, _BLOCKS // tiles))
    sums = cupy.empty((parts, m, size), np.float32)
    shift = -padding[0], -padding[1]
    images = _images(x, kernel, g, stride, shift, dilation, (1, 1))
    how = _compiled(g, math.prod(g.shape[2:]))
    for_each_block("conv", "convolve_windows", parts * tiles, g, x, sums, images, parts, **how)
    grad = sums[0] if parts == 1 else sums.sum(0)
    return grad.astype(g.dtype, copy=False).reshape(m, x.shape[1], *kernel)


def _images(
    x: Array, kernel: Pair, out: Array, step: Pair, shift: Pair, wide: Pair, divisor: Pair
) -> Any:
    """The numbers of conv.cu's struct Images."""
    rows, windows = out.shape[1], out.shape[2:]
    numbers = *x.shape, *kernel, *windows, rows, *step, *shift, *wide, *divisor
    return np.array(numbers, _IMAGES)[()]


def defines(kind: str, cores: str) -> tuple[str, ...]:
    """The options of the compiler for arrays of a dtype.

    cores : the instruction of tensor cores, or "" for the arithmetic of threads
    """
    sizes = f"-DTILE={_TILE}", f"-DWIDTH={_WIDTH}"
    return (*sizes, f'-DMMA="{cores}"') if cores else sizes


def _compiled(left: Array, width: int) -> dict[str, Any]:
    """How to compile for a left factor of rows `width` long, and the bytes of the two tiles."""
    size, kind = left.itemsize, left.dtype.char
    cores = instruction(kind, allows_tensor_float()) if limits()[0] else ""
    is_aligned = cores and left.data.ptr % 16 == 0 and width * size % 16 == 0
    options = (*defines(kind, cores), *(("-DALIGNED",) if is_aligned else ()))
    words = _WIDTH * size // 4 + 4 if cores else _WIDTH + 1  # of a row of a tile, as in tile.cu
    return {"defines": options, "memory": 2 * _TILE * words * 4}
