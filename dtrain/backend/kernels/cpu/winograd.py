"""3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), channels last inside.

A tile of 4x4 outputs needs 6x6 inputs. Both are brought to 6x6 = 36 places where convolution is
a product of matrices (tiles, channels) @ (channels, outputs): 36 multiplications for the 144 of
the definition (Lavin and Gray 2016, section 4.3).
"""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.layout import channels_first, channels_last, parts
from dtrain.backend.kernels.cpu.vector import LANES, load, store
from dtrain.backend.kernels.reference.window import Pair

_TWO, _FOUR, _FIVE, _EIGHT = (np.float32(n) for n in (2, 4, 5, 8))
#: brings a filter to the six places of an axis; of both axes (36, 9)
_G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32
)  # fmt: skip
_FILTER = np.kron(_G, _G)


@inlined
def _from_input(d0, d1, d2, d3, d4, d5):
    """Six inputs in a row to the six places."""
    a, b = d4 - _FOUR * d2, d3 - _FOUR * d1
    c, d = d4 - d2, _TWO * (d3 - d1)
    return _FOUR * d0 - _FIVE * d2 + d4, a + b, a - b, c + d, c - d, _FOUR * d1 - _FIVE * d3 + d5


@inlined
def _to_output(m0, m1, m2, m3, m4, m5):
    """The six places to four outputs in a row."""
    a, b, c, d = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + a + c, b + _TWO * d, a + _FOUR * c, b + _EIGHT * d + m5


@inlined
def _from_gradient(y0, y1, y2, y3):
    """The gradients of four outputs in a row to the six places: `_to_output` transposed."""
    a, b, c, d = y0 + y2, y1 + y3, y0 + _FOUR * y2, _TWO * y1 + _EIGHT * y3
    return y0, a + b, a - b, c + d, c - d, y3


@inlined
def _six(array, at, step):
    return (
        load(array, at), load(array, at + step), load(array, at + 2 * step),
        load(array, at + 3 * step), load(array, at + 4 * step), load(array, at + 5 * step),
    )  # fmt: skip


@inlined
def _four(array, at, step):
    return (
        load(array, at), load(array, at + step), load(array, at + 2 * step),
        load(array, at + 3 * step),
    )  # fmt: skip


@inlined
def _put_six(array, at, step, v):
    store(array, at, v[0])
    store(array, at + step, v[1])
    store(array, at + 2 * step, v[2])
    store(array, at + 3 * step, v[3])
    store(array, at + 4 * step, v[4])
    store(array, at + 5 * step, v[5])


@inlined
def _put_four(array, at, step, v):
    store(array, at, v[0])
    store(array, at + step, v[1])
    store(array, at + 2 * step, v[2])
    store(array, at + 3 * step, v[3])


@compiled
def _input_tiles(x, rows, columns, tiles, out):
    """Images (n, 4 rows + 2, 4 columns + 2, c) to places (36, >= tiles, c)."""
    _, high, wide, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    half = np.empty(36 * LANES, np.float32)  # brought along the columns, not yet along the rows
    place = out.shape[1] * c
    for tile in range(tiles):
        image, row, column = tile // columns // rows, tile // columns % rows, tile % columns
        for first in range(0, c, LANES):
            at = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for j in range(6):
                v = _from_input(*_six(source, at + j * c, wide * c))
                _put_six(half, j * LANES, 6 * LANES, v)
            for i in range(6):
                v = _from_input(*_six(half, 6 * i * LANES, LANES))
                _put_six(target, 6 * i * place + tile * c + first, place, v)


@compiled
def _gradient_tiles(g, rows, columns, tiles, out):
    """Gradients of outputs (n, 4 rows, 4 columns, c) to places (36, >= tiles, c)."""
    _, high, wide, c = g.shape
    source, target = g.reshape(-1), out.reshape(-1)
    half = np.empty(24 * LANES, np.float32)
    place = out.shape[1] * c
    for tile in range(tiles):
        image, row, column = tile // columns // rows, tile // columns % rows, tile % columns
        for first in range(0, c, LANES):
            at = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for j in range(4):
                v = _from_gradient(*_four(source, at + j * c, wide * c))
                _put_six(half, j * LANES, 4 * LANES, v)
            for i in range(6):
                v = _from_gradient(*_four(half, 4 * i * LANES, LANES))
                _put_six(target, 6 * i * place + tile * c + first, place, v)


@compiled
def _output_tiles(x, rows, columns, tiles, out):
    """Places (36, >= tiles, c) to images (n, 4 rows, 4 columns, c)."""
    _, high, wide, c = out.shape
    source, target = x.reshape(-1), out.reshape(-1)
    half = np.empty(24 * LANES, np.float32)
    place = x.shape[1] * c
    for tile in range(tiles):
        image, row, column = tile // columns // rows, tile // columns % rows, tile % columns
        for first in range(0, c, LANES):
            at = tile * c + first
            for j in range(6):
                v = _to_output(*_six(source, at + j * place, 6 * place))
                _put_four(half, j * LANES, 6 * LANES, v)
            to = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for i in range(4):
                v = _to_output(*_six(half, 6 * i * LANES, LANES))
                _put_four(target, to + i * wide * c, c, v)


def _grid(h: int, w: int, padding: Pair) -> Pair:
    """The rows and the columns of tiles that cover the outputs."""
    return -(-(h + 2 * padding[0] - 2) // 4), -(-(w + 2 * padding[1] - 2) // 4)


def _places(tiles: int, channels: int) -> np.ndarray:
    """Room for the 36 places of tiles; an odd number, for a power of two apart they would fall on
    the same lines of the cache."""
    return np.empty((36, tiles | 1, channels), np.float32)


def _input_places(x: np.ndarray, grid: Pair, padding: Pair) -> np.ndarray:
    n, c = x.shape[:2]
    rows, columns = grid
    tiles = n * rows * columns
    padded = np.zeros((n, 4 * rows + 2, 4 * columns + 2, c), np.float32)
    channels_last(x, *padding, padded)
    places = _places(tiles, c)
    _input_tiles(padded, rows, columns, tiles, places)
    return places[:, :tiles]


def _gradient_places(g: np.ndarray, grid: Pair) -> np.ndarray:
    n, m = g.shape[:2]
    rows, columns = grid
    tiles = n * rows * columns
    padded = np.zeros((n, 4 * rows, 4 * columns, m), np.float32)
    channels_last(g, 0, 0, padded)
    places = _places(tiles, m)
    _gradient_tiles(padded, rows, columns, tiles, places)
    return places[:, :tiles]


def pays(weight: np.ndarray, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether this can be done here, and has tiles that are not mostly empty; size: (oh, ow)."""
    return (
        weight.shape[2:] == (3, 3)
        and tuple(stride) == tuple(dilation) == (1, 1)
        and max(padding) <= 2
        and min(size) > 2
    )


def conv(x: np.ndarray, weight: np.ndarray, padding: Pair) -> np.ndarray:
    n, c, h, w = x.shape
    m = weight.shape[0]
    rows, columns = grid = _grid(h, w, padding)
    filters = (_FILTER @ weight.reshape(m * c, 9).T).reshape(36, m, c).swapaxes(1, 2)
    out = np.empty((n, m, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2), np.float32)
    for part in parts(n, 36 * rows * columns * max(c, m)):
        inputs = _input_places(x[part], grid, padding)
        tiles = inputs.shape[1]
        outputs = _places(tiles, m)
        np.matmul(inputs, filters, out=outputs[:, :tiles])
        last = np.empty((len(x[part]), 4 * rows, 4 * columns, m), np.float32)
        _output_tiles(outputs, rows, columns, tiles, last)
        seen = last[:, : out.shape[2], : out.shape[3]]
        channels_first(np.ascontiguousarray(seen), out[part])
    return out


def conv_grad_x(g: np.ndarray, weight: np.ndarray, padding: Pair) -> np.ndarray:
    turned = np.ascontiguousarray(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
    return conv(g, turned, (2 - padding[0], 2 - padding[1]))


def conv_grad_weight(g: np.ndarray, x: np.ndarray, padding: Pair) -> np.ndarray:
    (n, c, h, w), m = x.shape, g.shape[1]
    rows, columns = grid = _grid(h, w, padding)
    total = np.zeros((36, m, c), np.float32)
    for part in parts(n, 36 * rows * columns * max(c, m)):
        of_outputs = _gradient_places(g[part], grid)
        total += of_outputs.swapaxes(1, 2) @ _input_places(x[part], grid, padding)
    return (total.reshape(36, m * c).T @ _FILTER).reshape(m, c, 3, 3)
