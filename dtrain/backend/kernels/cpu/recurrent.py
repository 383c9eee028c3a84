"""What the recurrent layers share: sigmoid and tanh, and the product of a state and its weight.

The product (rows, k) @ (k, columns) reads the weight from panels of LANES columns, padded by zeros
to whole ones: it is packed once for all steps. A single step's is the BLAS's, which packs less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.backend.kernels.cpu.compiler import VECTOR_SUMS, compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp, expm1
from dtrain.backend.kernels.cpu.tile_sums import pad_rows, sum_row, sum_rows, tile_rows
from dtrain.backend.kernels.cpu.vector import LANES

_F = np.float32


@inlined(fastmath=VECTOR_SUMS)
def sigmoid(x: np.ndarray) -> None:
    """x = sigmoid(x), of a row."""
    for j in range(x.size):
        x[j] = _F(1) / (_F(1) + exp(-x[j]))


@inlined(fastmath=VECTOR_SUMS)
def tanh(x: np.ndarray) -> None:
    """x = tanh(x), of a row: expm1(2x) / (expm1(2x) + 2); 1 or -1 beyond 10."""
    for j in range(x.size):
        limited = _F(10) if x[j] > _F(10) else x[j]
        limited = _F(-10) if limited < _F(-10) else limited
        power = expm1(limited + limited)
        x[j] = power / (power + _F(2))


class Weight(NamedTuple):
    """A matrix (k, columns) in panels, (columns / LANES, k, LANES), and what the tiles take."""

    panels: np.ndarray
    starts: np.ndarray  # of the panels
    shifts: np.ndarray  # of the rows in a panel
    starts_out: np.ndarray  # of the panels in a row of the product


_NO_PRODUCT = np.empty((0, 0), np.float32)
_FIRST = np.zeros(1, np.int64)

#: Stands for the weight of a single step, whose product is the BLAS's.
EMPTY = Weight(np.empty(0, np.float32), *[np.empty(0, np.int64)] * 3)


def pack(matrix: np.ndarray, transposed: bool) -> Weight:
    """The panels of a matrix (k, columns), or of that which it is the transpose of."""
    columns, k = matrix.shape if transposed else matrix.shape[::-1]
    count = -(-columns // LANES)
    panels = np.zeros(count * k * LANES, np.float32)
    steps = (1, k) if transposed else (columns, 1)
    _pack(np.ascontiguousarray(matrix).reshape(-1), k, columns, *steps, panels)
    panel = np.arange(count)
    return Weight(panels, panel * k * LANES, np.arange(k) * LANES, panel * LANES)


@compiled
def _pack(
    matrix: np.ndarray, k: int, columns: int, down: int, across: int, out: np.ndarray
) -> None:
    """Copy elements, `down` from row to row and `across` from column to column, to panels."""
    for first in range(0, columns, LANES):
        for lane in range(LANES if columns - first > LANES else columns - first):
            at, to = (first + lane) * across, first * k + lane
            for t in range(k):
                out[to + t * LANES] = matrix[at + t * down]


def buffers(rows: int, weight: Weight) -> tuple[np.ndarray, np.ndarray]:
    """Room for a state of so many rows in the order of the tiles, with a zero for each row after
    it, and for its product."""
    if weight is EMPTY:
        return EMPTY.panels, _NO_PRODUCT
    padded = pad_rows(rows)
    state = np.zeros(padded * (weight.shifts.size + 1), np.float32)
    return state, np.empty((padded, weight.starts.size * LANES), np.float32)


@inlined
def copy_row(source: Any, target: Any) -> None:
    """target = source, of as many elements; a loop compiles in a tenth of an assignment's time."""
    for j in range(target.size):
        target[j] = source[j]


@inlined(fastmath=VECTOR_SUMS)
def multiply(
    a: np.ndarray, first: int, rows: int, weight: Any, state: np.ndarray, out: np.ndarray
) -> None:
    """out[:rows] = the matrix of so many rows that begins at row `first` of a, times the weight."""
    panels, starts, shifts, starts_out = weight
    k, source, target = shifts.size, a.reshape(-1), out.reshape(-1)
    m = 0
    while m < rows:
        height = tile_rows(rows - m)
        for r in range(height if height < rows - m else rows - m):
            for t in range(k):
                state[m * k + t * height + r] = source[(first + m + r) * k + t]
        m += height
    zeros = out.shape[0] * k
    if rows == 1:
        sum_row(
            state, 0, panels, starts, 0, starts.size, shifts, 0, k, state, zeros, target, 0,
            starts_out,
        )  # fmt: skip
    else:
        sum_rows(
            state, 0, rows, panels, starts, 0, starts.size, shifts, 0, k, state, zeros, target, 0,
            starts_out, out.shape[1],
        )  # fmt: skip


def rows_of_steps(batch_sizes: Sequence[int], reverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first row and the number of rows of each step, in the layer's order of steps."""
    sizes = np.asarray(batch_sizes, np.int64)
    if len(sizes) == 1:
        return _FIRST, sizes
    starts = np.cumsum(sizes) - sizes
    return (starts[::-1].copy(), sizes[::-1].copy()) if reverse else (starts, sizes)
