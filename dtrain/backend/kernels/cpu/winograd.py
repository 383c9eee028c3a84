"""3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), in float32 with channels last.

A tile of 4x4 outputs needs 6x6 inputs. Both are transformed to 6x6 = 36 points, at each of which
convolution is a matrix product (tiles, channels) @ (channels, outputs): 36 multiplications in place
of the 144 of the definition (Lavin and Gray 2016, section 4.3, with the same matrices B, G and A).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.layout import channels_first, channels_last, split_images
from dtrain.backend.kernels.cpu.vector import LANES, load, store
from dtrain.backend.kernels.reference.window import Pair

_TWO, _FOUR, _FIVE, _EIGHT = (np.float32(n) for n in (2, 4, 5, 8))
#: transforms a filter to the six points of an axis; _FILTER: of both axes, (36, 9)
_G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32
)  # fmt: skip
_FILTER = np.kron(_G, _G)


@inlined
def _transform_input(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """B^T d: six inputs of an axis to its six points."""
    a, b = d4 - _FOUR * d2, d3 - _FOUR * d1
    c, d = d4 - d2, _TWO * (d3 - d1)
    return _FOUR * d0 - _FIVE * d2 + d4, a + b, a - b, c + d, c - d, _FOUR * d1 - _FIVE * d3 + d5


@inlined
def _transform_output(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """A^T m: the six points of an axis to four outputs."""
    a, b, c, d = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + a + c, b + _TWO * d, a + _FOUR * c, b + _EIGHT * d + m5


@inlined
def _transform_gradient(y0: Any, y1: Any, y2: Any, y3: Any) -> Any:
    """A y: the gradients of four outputs to the six points; `_transform_output` transposed."""
    a, b, c, d = y0 + y2, y1 + y3, y0 + _FOUR * y2, _TWO * y1 + _EIGHT * y3
    return y0, a + b, a - b, c + d, c - d, y3


@inlined
def _load_six(array: Any, at: Any, step: Any) -> Any:
    """Load six vectors, `step` elements apart."""
    return (
        load(array, at), load(array, at + step), load(array, at + 2 * step),
        load(array, at + 3 * step), load(array, at + 4 * step), load(array, at + 5 * step),
    )  # fmt: skip


@inlined
def _load_four(array: Any, at: Any, step: Any) -> Any:
    """Load four vectors, `step` elements apart."""
    return (
        load(array, at), load(array, at + step), load(array, at + 2 * step),
        load(array, at + 3 * step),
    )  # fmt: skip


@inlined
def _store_six(array: Any, at: Any, step: Any, v: Any) -> None:
    """Store six vectors, `step` elements apart."""
    store(array, at, v[0])
    store(array, at + step, v[1])
    store(array, at + 2 * step, v[2])
    store(array, at + 3 * step, v[3])
    store(array, at + 4 * step, v[4])
    store(array, at + 5 * step, v[5])


@inlined
def _store_four(array: Any, at: Any, step: Any, v: Any) -> None:
    """Store four vectors, `step` elements apart."""
    store(array, at, v[0])
    store(array, at + step, v[1])
    store(array, at + 2 * step, v[2])
    store(array, at + 3 * step, v[3])


@compiled
def _transform_input_tiles(
    x: np.ndarray, rows: int, columns: int, tiles: int, out: np.ndarray
) -> None:
    """Transform images x, (n, 4 rows + 2, 4 columns + 2, c), to points out, (36, >= tiles, c)."""
    _, high, wide, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    half = np.empty(36 * LANES, np.float32)  # transformed along the columns alone
    point = out.shape[1] * c
    for tile in range(tiles):
        image, row, column = tile // columns // rows, tile // columns % rows, tile % columns
        for first in range(0, c, LANES):
            at = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for j in range(6):
                v = _transform_input(*_load_six(source, at + j * c, wide * c))
                _store_six(half, j * LANES, 6 * LANES, v)
            for i in range(6):
                v = _transform_input(*_load_six(half, 6 * i * LANES, LANES))
                _store_six(target, 6 * i * point + tile * c + first, point, v)


@compiled
def _transform_gradient_tiles(
    g: np.ndarray, rows: int, columns: int, tiles: int, out: np.ndarray
) -> None:
    """Transform gradients g, (n, 4 rows, 4 columns, c), to points out, (36, >= tiles, c)."""
    _, high, wide, c = g.shape
    source, target = g.reshape(-1), out.reshape(-1)
    half = np.empty(24 * LANES, np.float32)
    point = out.shape[1] * c
    for tile in range(tiles):
        image, row, column = tile // columns // rows, tile // columns % rows, tile % columns
        for first in range(0, c, LANES):
            at = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for j in range(4):
                v = _transform_gradient(*_load_four(source, at + j * c, wide * c))
                _store_six(half, j * LANES, 4 * LANES, v)
            for i in range(6):
                v = _transform_gradient(*_load_four(half, 4 * i * LANES, LANES))
                _store_six(target, 6 * i * point + tile * c + first, point, v)


@compiled
def _transform_output_tiles(
    x: np.ndarray, rows: int, columns: int, tiles: int, out: np.ndarray
) -> None:
    """Transform points x, (36, >= tiles, c), to images out, (n, 4 rows, 4 columns, c)."""
    _, high, wide, c = out.shape
    source, target = x.reshape(-1), out.reshape(-1)
    half = np.empty(24 * LANES, np.float32)
    point = x.shape[1] * c
    for tile in range(tiles):
        image, row, column = tile // columns // rows, tile // columns % rows, tile % columns
        for first in range(0, c, LANES):
            at = tile * c + first
            for j in range(6):
                v = _transform_output(*_load_six(source, at + j * point, 6 * point))
                _store_four(half, j * LANES, 6 * LANES, v)
            to = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for i in range(4):
                v = _transform_output(*_load_six(half, 6 * i * LANES, LANES))
                _store_four(target, to + i * wide * c, c, v)


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
    _transform_input_tiles(padded, rows, columns, tiles, points)
    return points[:, :tiles]


def _gradient_points(g: np.ndarray, grid: Pair) -> np.ndarray:
    """Transform gradients (n, m, oh, ow) to points (36, tiles, m)."""
    n, m = g.shape[:2]
    rows, columns = grid
    tiles = n * rows * columns
    padded = np.zeros((n, 4 * rows, 4 * columns, m), np.float32)
    channels_last(g, 0, 0, padded)
    points = _empty_points(tiles, m)
    _transform_gradient_tiles(padded, rows, columns, tiles, points)
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
    filters = (_FILTER @ weight.reshape(m * c, 9).T).reshape(36, m, c).swapaxes(1, 2)
    out = np.empty((n, m, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2), np.float32)
    for part in split_images(n, 36 * rows * columns * max(c, m)):
        inputs = _input_points(x[part], grid, padding)
        tiles = inputs.shape[1]
        outputs = _empty_points(tiles, m)
        np.matmul(inputs, filters, out=outputs[:, :tiles])
        tiled = np.empty((len(x[part]), 4 * rows, 4 * columns, m), np.float32)
        _transform_output_tiles(outputs, rows, columns, tiles, tiled)
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
    return (total.reshape(36, m * c).T @ _FILTER).reshape(m, c, 3, 3)
