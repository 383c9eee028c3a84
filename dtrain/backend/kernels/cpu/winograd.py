"""3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), in float32 with channels last.

A tile of 4x4 outputs needs 6x6 inputs. Both are transformed to 6x6 = 36 points, at each of which
convolution is a matrix product (tiles, channels) @ (channels, outputs): 36 multiplications in place
of the 144 of the definition (Lavin and Gray 2016, section 4.3, with other points).
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.layout import CACHED, channels_first, channels_last
from dtrain.backend.kernels.cpu.winograd_transform import (
    FILTER,
    transform_gradient_tiles,
    transform_input_tiles,
    transform_output_tiles,
)
from dtrain.backend.kernels.reference.window import Pair
from dtrain.backend.settings import get_convolution_precision


def _count_tiles(h: int, w: int, padding: Pair) -> Pair:
    """The rows and columns of tiles that cover the outputs of an image (h, w)."""
    return -(-(h + 2 * padding[0] - 2) // 4), -(-(w + 2 * padding[1] - 2) // 4)


def _count_sums(c: int) -> int:
    """In how many parts sums over c channels are made: short sums round less than long ones."""
    return 1 if c < 64 else 2 if c < 512 else 4


def _split_batch(n: int, grid: Pair, c: int, m: int) -> tuple[list[slice], int]:
    """Slices of n images, and the number of tiles that are multiplied at once.

    The points of these tiles fit into the cache. With many channels there are more tiles than fit,
    since each product reads all filters.
    """
    per_image = max(math.prod(grid), 1)
    tiles = max(2 * CACHED // (36 * (c + m * _count_sums(c))), 64, max(c, m) // 4)
    count = max(min(round(tiles / per_image), n), 1)
    blocks = max(round(per_image / tiles), 1)
    block = count * per_image if blocks == 1 else -(-per_image // blocks)
    return [slice(start, min(start + count, n)) for start in range(0, n, count)], block


def _empty_points(tiles: int, channels: int, sums: int = 1) -> np.ndarray:
    """An uninitialized array for the 36 points of tiles, (sums, 36, tiles or tiles + 1, channels).

    The number of tiles is made odd: points a power of two apart would share cache lines.
    """
    return np.empty((sums, 36, tiles | 1, channels), np.float32)


def _pad_inputs(x: np.ndarray, grid: Pair, padding: Pair) -> np.ndarray:
    """Images (n, c, h, w) with channels last and whole tiles, (n, 4 rows + 2, 4 columns + 2, c)."""
    out = np.zeros((len(x), 4 * grid[0] + 2, 4 * grid[1] + 2, x.shape[1]), np.float32)
    channels_last(x, *padding, out)
    return out


def _input_points(x: np.ndarray, grid: Pair, padding: Pair) -> np.ndarray:
    """Transform images (n, c, h, w) to points (36, tiles, c)."""
    tiles = len(x) * math.prod(grid)
    (points,) = _empty_points(tiles, x.shape[1])
    transform_input_tiles(_pad_inputs(x, grid, padding), *grid, 0, tiles, points)
    return points[:, :tiles]


def _gradient_points(g: np.ndarray, grid: Pair) -> np.ndarray:
    """Transform gradients (n, m, oh, ow) to points (36, tiles, m)."""
    n, m = g.shape[:2]
    rows, columns = grid
    tiles = n * rows * columns
    padded = np.zeros((n, 4 * rows, 4 * columns, m), np.float32)
    channels_last(g, 0, 0, padded)
    (points,) = _empty_points(tiles, m)
    transform_gradient_tiles(padded, rows, columns, tiles, points)
    return points[:, :tiles]


def is_worthwhile(kernel: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether a convolution of these options can use Winograd's tiles, fills them enough, and may
    round more than its definition.

    size: (oh, ow)
    """
    return (
        kernel == (3, 3)
        and tuple(stride) == tuple(dilation) == (1, 1)
        and max(padding) <= 2
        and min(size) > 2
        and get_convolution_precision() != "ieee"
    )


def conv(x: np.ndarray, weight: np.ndarray, padding: Pair) -> np.ndarray:
    """Cross-correlation of x, (n, c, h, w), with weight, (m, c, 3, 3); (n, m, oh, ow)."""
    n, c, h, w = x.shape
    m, sums = weight.shape[0], _count_sums(c)
    rows, columns = grid = _count_tiles(h, w, padding)
    filters = (FILTER @ weight.reshape(m * c, 9).T).reshape(36, m, sums, c // sums)
    filters = filters.transpose(2, 0, 3, 1)
    out = np.empty((n, m, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2), np.float32)
    parts, block = _split_batch(n, grid, c, m)
    (inputs,), outputs = _empty_points(block, c), _empty_points(block, m, sums)
    by_sum = inputs.reshape(36, -1, sums, c // sums).transpose(2, 0, 1, 3)
    for part in parts:
        padded = _pad_inputs(x[part], grid, padding)
        tiled = np.empty((len(padded), 4 * rows, 4 * columns, m), np.float32)
        for start in range(0, len(padded) * rows * columns, block):
            tiles = min(block, len(padded) * rows * columns - start)
            transform_input_tiles(padded, rows, columns, start, tiles, inputs)
            np.matmul(by_sum[:, :, :tiles], filters, out=outputs[:, :, :tiles])
            transform_output_tiles(outputs, rows, columns, start, tiles, tiled)
        cropped = tiled[:, : out.shape[2], : out.shape[3]]
        channels_first(np.ascontiguousarray(cropped), out[part])
    return out


def conv_grad_x(g: np.ndarray, weight: np.ndarray, padding: Pair) -> np.ndarray:
    """The gradient of x: the convolution of g with the rotated weight."""
    rotated = np.ascontiguousarray(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
    return conv(g, rotated, (2 - padding[0], 2 - padding[1]))


def conv_grad_weight(g: np.ndarray, x: np.ndarray, padding: Pair) -> np.ndarray:
    """The gradient of weight, (m, c, 3, 3): a product over the tiles at each point."""
    (n, c, h, w), m = x.shape, g.shape[1]
    grid = _count_tiles(h, w, padding)
    total = np.zeros((36, m, c), np.float32)
    for part in _split_batch(n, grid, c, m)[0]:
        gradients = _gradient_points(g[part], grid)
        total += gradients.swapaxes(1, 2) @ _input_points(x[part], grid, padding)
    return (total.reshape(36, m * c).T @ FILTER).reshape(m, c, 3, 3)
