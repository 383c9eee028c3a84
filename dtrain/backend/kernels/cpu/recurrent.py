"""What the recurrent layers share: sigmoid and tanh, and the product of a state and its weight.

The product (rows, k) @ (k, columns) reads the weight from panels of 32 columns, padded by zeros to
whole ones: it is packed once for all steps. A single step's is the BLAS's, which packs less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import VECTOR_SUMS, compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp, expm1
from dtrain.backend.kernels.cpu.packed_factor import pack_if_worthwhile
from dtrain.backend.kernels.cpu.tile import products
from dtrain.backend.kernels.cpu.tile_sums import TAPS
from dtrain.backend.kernels.cpu.vector import LANES, transpose

_F = np.float32
COLUMNS = 2 * LANES  # of a panel
_sums_8x2, _sums_4x2, _sums_1x2 = products(8, 2), products(4, 2), products(1, 2)


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


_FIRST = np.zeros(1, np.int64)

#: Stands for the panels of a single step, whose product is the BLAS's.
EMPTY = np.empty((0, 0, COLUMNS), np.float32)


def pack(matrix: np.ndarray, transposed: bool) -> np.ndarray:
    """The panels, (columns / COLUMNS, k, COLUMNS), of a matrix (k, columns), or of that which it is
    the transpose of."""
    columns, k = matrix.shape if transposed else matrix.shape[::-1]
    count = -(-columns // COLUMNS)
    panels = np.zeros((count, k, COLUMNS), np.float32)
    flat = np.ascontiguousarray(matrix).reshape(-1)
    if transposed:
        _transpose_panels(flat, k, columns, panels.reshape(-1))
    else:
        rows = flat.reshape(k, columns)
        for panel, first in zip(panels, range(0, columns, COLUMNS)):
            part = rows[:, first : first + COLUMNS]
            panel[:, : part.shape[1]] = part
    return panels


@compiled
def _transpose_panels(matrix: np.ndarray, k: int, columns: int, out: np.ndarray) -> None:
    """Copy a matrix (columns, k) to panels of k rows."""
    for first in range(0, columns, LANES):
        panel = first // COLUMNS * COLUMNS
        to = panel * k + first - panel
        lanes = LANES if columns - first > LANES else columns - first
        whole = k // LANES * LANES if lanes == LANES else 0
        for t in range(0, whole, LANES):
            transpose(matrix, first * k + t, k, out, to + t * COLUMNS, COLUMNS)
        for lane in range(lanes):
            for t in range(whole, k):
                out[to + t * COLUMNS + lane] = matrix[(first + lane) * k + t]


def empty_product(rows: int, panels: np.ndarray) -> np.ndarray:
    """Room for the product of so many rows and the panels."""
    return np.empty((rows, len(panels) * COLUMNS), np.float32)


@inlined
def copy_row(source: Any, target: Any) -> None:
    """target = source, of as many elements; a loop compiles in a tenth of an assignment's time."""
    for j in range(target.size):
        target[j] = source[j]


@inlined(fastmath=VECTOR_SUMS)
def multiply(a: np.ndarray, first: int, rows: int, panels: np.ndarray, out: np.ndarray) -> None:
    """out[:rows] = the matrix of so many rows that begins at row `first` of a, times that of the
    panels. The sum is TAPS at a time."""
    k, width = panels.shape[1], out.shape[1]
    source, weight, target = a.reshape(-1), panels.reshape(-1), out.reshape(-1)
    for t in range(0, k, TAPS):
        count = TAPS if k - t > TAPS else k - t
        for c in range(0, width, COLUMNS):
            panel, m = c * k + t * COLUMNS, 0
            while m < rows:
                at, to = (first + m) * k + t, m * width + c
                if rows - m >= 8:
                    _sums_8x2(source, at, k, weight, panel, count, t > 0, target, to, width)
                    m += 8
                elif rows - m >= 4:
                    _sums_4x2(source, at, k, weight, panel, count, t > 0, target, to, width)
                    m += 4
                else:
                    _sums_1x2(source, at, k, weight, panel, count, t > 0, target, to, width)
                    m += 1


def rows_of_steps(batch_sizes: Sequence[int], reverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first row and the number of rows of each step, in the layer's order of steps."""
    sizes = np.asarray(batch_sizes, np.int64)
    if len(sizes) == 1:
        return _FIRST, sizes
    starts = np.cumsum(sizes) - sizes
    return (starts[::-1].copy(), sizes[::-1].copy()) if reverse else (starts, sizes)


def run_steps(
    run: Callable[..., None], h0: np.ndarray, h: np.ndarray, w_hh: np.ndarray, sizes: np.ndarray
) -> None:  # fmt: skip
    """Run the steps of a layer's forward pass, with the products of the states and w_hh.

    run : run(product, steps, panels) runs the kernel for a slice of the steps, and updates h; it
        multiplies by the panels itself if there are any
    h0, h : the states before the first step, (rows, n), and their copy
    """
    if len(sizes) == 1:
        run(h0 @ w_hh.T, slice(1))
    elif (factor := pack_if_worthwhile(w_hh.T, len(h0))) is not None:
        product = np.empty((len(h0), len(w_hh)), np.float32)
        for step, size in enumerate(sizes):
            factor.multiply(h[:size], product)
            run(product, slice(step, step + 1))
    else:
        panels = pack(w_hh, transposed=True)
        run(empty_product(len(h0), panels), slice(None), panels)
