"""3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), in float32 with channels last.

A tile of 4x4 outputs needs 6x6 inputs. Both are transformed to 6x6 = 36 points, at each of which
convolution is a matrix product (tiles, channels) @ (channels, outputs): 36 multiplications in place
of the 144 of the definition (Lavin and Gray 2016, section 4.3, with the same matrices B, G and A).
"""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.layout import channels_first, channels_last, split_images
from dtrain.backend.kernels.cpu.winograd_transform import (
    FILTER,
    transform_gradient_tiles,
    transform_input_tiles,
    transform_output_tiles,
)
from dtrain.backend.kernels.reference.window import Pair


def _count_tiles(h: int, w: int, padding: Pair) -> Pair:
    """The rows and columns of tiles that cover the outputs of an image (h, w)."""
    return -(-(h + 2 * padding[0] - 2) // 4), -(-(w + 2 * padding[1] - 2) // 4)


def _empty_points(tiles: int, channels: int) -> np.ndarray:
    """An uninitialized array for the 36 points of tiles, (36, tiles or tiles + 1, channels).

    The number of tiles is made odd: points a power of two apart would share cache lines.
    """
    return np.empty((36, tiles | 1, channels), np.float32)


def _input_points(x: np.ndarray, grid: Pair, padding: Pair) -> np.ndarray:
    """Transform images (n, c, h, w) to points (36, tiles, c)."""
    n, c = x.shape[:2]
    rows, columns = grid
    tiles = n * rows * columns
    padded = np.zeros((n, 4 * rows + 2, 4 * columns + 2, c), np.float32)
    channels_last(x, *padding, padded)
    points = _empty_points(tiles, c)
    transform_input_tiles(padded, rows, columns, tiles, points)
    return points[:, :tiles]


def _gradient_points(g: np.ndarray, grid: Pair) -> np.ndarray:
    """Transform gradients (n, m, oh, ow) to points (36, tiles, m)."""
    n, m = g.shape[:2]
    rows, columns = grid
    tiles = n * rows * columns
    padded = np.zeros((n, 4 * rows, 4 * columns, m), np.float32)
    channels_last(g, 0, 0, padded)
    points = _empty_points(tiles, m)
    transform_gradient_tiles(padded, rows, columns, tiles, points)
    return points[:, :tiles]


def is_worthwhile(
    weight: np.ndarray, size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> bool:
    """Whether a convolution of these options can use Winograd's tiles, and fills them enough.

    size: (oh, ow)
    """
    return (
        weight.shape[2:] == (3, 3)
        and tuple(stride) == tuple(dilation) == (1, 1)
        and max(padding) <= 2
        and min(size) > 2
    )


def conv(x: np.ndarray, weight: np.ndarray, padding: Pair) -> np.ndarray:
    """Cross-correlation of x, (n, c, h, w), with weight, (m, c, 3, 3); (n, m, oh, ow)."""
    n, c, h, w = x.shape
    m = weight.shape[0]
    rows, columns = grid = _count_tiles(h, w, padding)
    filters = (FILTER @ weight.reshape(m * c, 9).T).reshape(36, m, c).swapaxes(1, 2)
    out = np.empty((n, m, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2), np.float32)
    for part in split_images(n, 36 * rows * columns * max(c, m)):
        inputs = _input_points(x[part], grid, padding)
        tiles = inputs.shape[1]
        outputs = _empty_points(tiles, m)
        np.matmul(inputs, filters, out=outputs[:, :tiles])
        tiled = np.empty((len(x[part]), 4 * rows, 4 * columns, m), np.float32)
        transform_output_tiles(outputs, rows, columns, tiles, tiled)
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
    rows, columns = grid = _count_tiles(h, w, padding)
    total = np.zeros((36, m, c), np.float32)
    for part in split_images(n, 36 * rows * columns * max(c, m)):
        gradients = _gradient_points(g[part], grid)
        total += gradients.swapaxes(1, 2) @ _input_points(x[part], grid, padding)
    return (total.reshape(36, m * c).T @ FILTER).reshape(m, c, 3, 3)
