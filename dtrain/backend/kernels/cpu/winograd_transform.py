"""The transforms of Winograd's F(4x4, 3x3) between images and points, with channels last.

An axis has four outputs, six inputs and six points; `winograd` multiplies at the points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.vector import LANES, load, loader, store, storer

#: The points 0, ±P, ±Q and infinity. Lavin and Gray's ±1 and ±2 round more than twice as much: the
#: error is least near these (Barabasz et al. 2018 search likewise), whose powers and products
#: float32 holds exactly.
_P, _Q = 5 / 8, 3 / 2
_P1, _P2, _P3, _Q1, _Q2, _Q3 = (np.float32(x**n) for x in (_P, _Q) for n in (1, 2, 3))
_SUM, _PRODUCT = np.float32(_P**2 + _Q**2), np.float32(_P**2 * _Q**2)


def _filter_rows() -> np.ndarray:
    """G, (6, 3): a filter's polynomial at the points, over the derivative of the points' own."""
    rows = [[1 / _PRODUCT, 0, 0]]
    for p, q in ((_P, _Q), (_Q, _P)):
        scale = 1 / (2 * p**2 * (p**2 - q**2))
        rows += [[scale, sign * p * scale, p**2 * scale] for sign in (1, -1)]
    return np.array([*rows, [0, 0, 1]])


_load_four, _load_six, _store_four, _store_six = loader(4), loader(6), storer(4), storer(6)

#: transforms a filter to the points of both axes, (36, 9)
FILTER = np.kron(_filter_rows(), _filter_rows()).astype(np.float32)


@inlined
def _transform_input(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """B^T d: six inputs of an axis to its six points."""
    a, b = d4 - _Q2 * d2, d3 - _Q2 * d1
    c, d = d4 - _P2 * d2, d3 - _P2 * d1
    return (
        _PRODUCT * d0 - _SUM * d2 + d4,
        a + _P1 * b, a - _P1 * b, c + _Q1 * d, c - _Q1 * d,
        _PRODUCT * d1 - _SUM * d3 + d5,
    )  # fmt: skip


@inlined
def _transform_output(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """A^T m: the six points of an axis to four outputs."""
    a, b, c, d = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + a + c, _P1 * b + _Q1 * d, _P2 * a + _Q2 * c, _P3 * b + _Q3 * d + m5


@inlined
def _transform_gradient(y0: Any, y1: Any, y2: Any, y3: Any) -> Any:
    """A y: the gradients of four outputs to the six points; `_transform_output` transposed."""
    a, b = y0 + _P2 * y2, _P1 * y1 + _P3 * y3
    c, d = y0 + _Q2 * y2, _Q1 * y1 + _Q3 * y3
    return y0, a + b, a - b, c + d, c - d, y3


@inlined
def _place(tile: Any, rows: Any, columns: Any) -> Any:
    """The image, row and column of a tile."""
    return tile // columns // rows, tile // columns % rows, tile % columns


@compiled
def _transform_input_tiles(
    x: np.ndarray, rows: int, columns: int, c: int, start: int, tiles: int, out: np.ndarray,
    point: int, half: np.ndarray,
) -> None:  # fmt: skip
    wide = 4 * columns + 2
    for tile in range(tiles):
        image, row, column = _place(start + tile, rows, columns)
        for first in range(0, c, LANES):
            at = ((image * (4 * rows + 2) + 4 * row) * wide + 4 * column) * c + first
            for j in range(6):
                v = _transform_input(*_load_six(x, at + j * c, wide * c))
                _store_six(half, j * LANES, 6 * LANES, v)
            for i in range(6):
                v = _transform_input(*_load_six(half, 6 * i * LANES, LANES))
                _store_six(out, 6 * i * point + tile * c + first, point, v)


def transform_input_tiles(
    x: np.ndarray, rows: int, columns: int, start: int, tiles: int, out: np.ndarray
) -> None:
    """Transform `tiles` tiles, from tile `start` on, of x, (n, 4 rows + 2, 4 columns + 2, c), to
    points out, (36, >= tiles, c)."""
    c, half = x.shape[3], np.empty(36 * LANES, np.float32)  # transformed along the columns alone
    where = rows, columns, c, start, tiles
    _transform_input_tiles(x.reshape(-1), *where, out.reshape(-1), out.shape[1] * c, half)


@compiled
def _transform_gradient_tiles(
    g: np.ndarray, rows: int, columns: int, c: int, tiles: int, out: np.ndarray, point: int,
    half: np.ndarray,
) -> None:  # fmt: skip
    wide = 4 * columns
    for tile in range(tiles):
        image, row, column = _place(tile, rows, columns)
        for first in range(0, c, LANES):
            at = ((image * 4 * rows + 4 * row) * wide + 4 * column) * c + first
            for j in range(4):
                v = _transform_gradient(*_load_four(g, at + j * c, wide * c))
                _store_six(half, j * LANES, 4 * LANES, v)
            for i in range(6):
                v = _transform_gradient(*_load_four(half, 4 * i * LANES, LANES))
                _store_six(out, 6 * i * point + tile * c + first, point, v)


def transform_gradient_tiles(
    g: np.ndarray, rows: int, columns: int, tiles: int, out: np.ndarray
) -> None:
    """Transform gradients g, (n, 4 rows, 4 columns, c), to points out, (36, >= tiles, c)."""
    c, half = g.shape[3], np.empty(24 * LANES, np.float32)
    point = out.shape[1] * c
    _transform_gradient_tiles(g.reshape(-1), rows, columns, c, tiles, out.reshape(-1), point, half)


@compiled
def _transform_output_tiles(
    x: np.ndarray, sums: int, point: int, rows: int, columns: int, c: int, start: int, tiles: int,
    out: np.ndarray, whole: np.ndarray, half: np.ndarray,
) -> None:  # fmt: skip
    wide = 4 * columns
    for tile in range(tiles):
        image, row, column = _place(start + tile, rows, columns)
        for first in range(0, c, LANES):
            at = tile * c + first
            for k in range(36):
                total = load(x, at + k * point)
                for part in range(1, sums):
                    total = total + load(x, at + (36 * part + k) * point)
                store(whole, k * LANES, total)
            for j in range(6):
                v = _transform_output(*_load_six(whole, j * LANES, 6 * LANES))
                _store_four(half, j * LANES, 6 * LANES, v)
            to = ((image * 4 * rows + 4 * row) * wide + 4 * column) * c + first
            for i in range(4):
                v = _transform_output(*_load_six(half, 6 * i * LANES, LANES))
                _store_four(out, to + i * wide * c, c, v)


def transform_output_tiles(
    x: np.ndarray, rows: int, columns: int, start: int, tiles: int, out: np.ndarray
) -> None:
    """Transform the sums of points x, (sums, 36, >= tiles, c), to `tiles` tiles, from tile `start`
    on, of images out, (n, 4 rows, 4 columns, c)."""
    (sums, _, most, c), scratch = x.shape, np.empty((60, LANES), np.float32)
    whole, half = scratch[:36].reshape(-1), scratch[36:].reshape(-1)
    where = rows, columns, c, start, tiles
    _transform_output_tiles(x.reshape(-1), sums, most * c, *where, out.reshape(-1), whole, half)
