"""The transforms of Winograd's F(4x4, 3x3) between images and points, with channels last.

An axis has four outputs, six inputs and six points; `winograd` multiplies at the points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.vector import LANES, load, store

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


@inlined
def _place(tile: Any, rows: Any, columns: Any) -> Any:
    """The image, row and column of a tile."""
    return tile // columns // rows, tile // columns % rows, tile % columns


@compiled
def transform_input_tiles(
    x: np.ndarray, rows: int, columns: int, start: int, tiles: int, out: np.ndarray
) -> None:
    """Transform `tiles` tiles, from tile `start` on, of x, (n, 4 rows + 2, 4 columns + 2, c), to
    points out, (36, >= tiles, c)."""
    _, high, wide, c = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    half = np.empty(36 * LANES, np.float32)  # transformed along the columns alone
    point = out.shape[1] * c
    for tile in range(tiles):
        image, row, column = _place(start + tile, rows, columns)
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
        image, row, column = _place(tile, rows, columns)
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
    x: np.ndarray, rows: int, columns: int, start: int, tiles: int, out: np.ndarray
) -> None:
    """Transform the sums of points x, (sums, 36, >= tiles, c), to `tiles` tiles, from tile `start`
    on, of images out, (n, 4 rows, 4 columns, c)."""
    _, high, wide, c = out.shape
    sums, source, target = x.shape[0], x.reshape(-1), out.reshape(-1)
    whole, half = np.empty(36 * LANES, np.float32), np.empty(24 * LANES, np.float32)
    point = x.shape[2] * c
    for tile in range(tiles):
        image, row, column = _place(start + tile, rows, columns)
        for first in range(0, c, LANES):
            at = tile * c + first
            for k in range(36):
                total = load(source, at + k * point)
                for part in range(1, sums):
                    total = total + load(source, at + (36 * part + k) * point)
                store(whole, k * LANES, total)
            for j in range(6):
                v = _transform_output(*_load_six(whole, j * LANES, 6 * LANES))
                _store_four(half, j * LANES, 6 * LANES, v)
            to = ((image * high + 4 * row) * wide + 4 * column) * c + first
            for i in range(4):
                v = _transform_output(*_load_six(half, 6 * i * LANES, LANES))
                _store_four(target, to + i * wide * c, c, v)
