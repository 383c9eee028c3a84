"""The transforms of Winograd's F(4x4, 3x3) between images and points, with channels last.

An axis has four outputs, six inputs and six points; `winograd` multiplies at the points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.vector import LANES, load, store

_TWO, _FOUR, _FIVE, _EIGHT = (np.float32(n) for n in (2, 4, 5, 8))
#: transforms a filter to the six points of an axis; FILTER: of both axes, (36, 9)
_G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], np.float32
)  # fmt: skip
FILTER = np.kron(_G, _G)


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
def transform_input_tiles(
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
def transform_gradient_tiles(
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
def transform_output_tiles(
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
