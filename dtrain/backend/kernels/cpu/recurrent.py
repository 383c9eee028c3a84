"""What the recurrent layers share: sigmoid and tanh, and the product of a state and its weight.

The product (rows, k) @ (k, columns) reads the weight from panels of LANES columns, padded by zeros
to whole ones: it is packed once for all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.exponential import exp, expm1
from dtrain.backend.kernels.cpu.vector import LANES, load, store

_F = np.float32


@inlined
def sigmoid(x: Any) -> Any:
    return _F(1) / (_F(1) + exp(-x))


@inlined
def tanh(x: Any) -> Any:
    """expm1(2x) / (expm1(2x) + 2); 1 or -1 beyond 10."""
    limited = _F(10) if x > _F(10) else x
    limited = _F(-10) if limited < _F(-10) else limited
    power = expm1(limited + limited)
    return power / (power + _F(2))


@compiled
def multiply(a: np.ndarray, rows: int, panels: np.ndarray, out: np.ndarray) -> None:
    """out[:rows] = a[:rows] @ the matrix of the panels, (columns / LANES, k, LANES)."""
    count, k, _ = panels.shape
    source, matrix, target = a.reshape(-1), panels.reshape(-1), out.reshape(-1)
    width, wide = a.shape[1], out.shape[1]
    zero = np.zeros(LANES, np.float32)
    for panel in range(count):
        first = panel * k * LANES
        i = 0
        while i < rows:
            at, to = i * width, i * wide + panel * LANES
            s = load(zero, 0)
            if i + 4 <= rows:
                t, u, v = load(zero, 0), load(zero, 0), load(zero, 0)
                for j in range(k):
                    w = load(matrix, first + j * LANES)
                    s = s + source[at + j] * w
                    t = t + source[at + width + j] * w
                    u = u + source[at + 2 * width + j] * w
                    v = v + source[at + 3 * width + j] * w
                store(target, to, s)
                store(target, to + wide, t)
                store(target, to + 2 * wide, u)
                store(target, to + 3 * wide, v)
                i += 4
            else:
                for j in range(k):
                    s = s + source[at + j] * load(matrix, first + j * LANES)
                store(target, to, s)
                i += 1


def pack(matrix: np.ndarray) -> np.ndarray:
    """The panels of a matrix (k, columns): (columns / LANES, k, LANES)."""
    k, columns = matrix.shape
    count = -(-columns // LANES)
    padded = np.zeros((k, count * LANES), np.float32)
    padded[:, :columns] = matrix
    return np.ascontiguousarray(padded.reshape(k, count, LANES).swapaxes(0, 1))


def rows_of_steps(batch_sizes: Sequence[int], reverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first row and the number of rows of each step, in the layer's order of steps."""
    sizes = np.asarray(batch_sizes, np.int64)
    starts = np.cumsum(sizes) - sizes
    return (starts[::-1].copy(), sizes[::-1].copy()) if reverse else (starts, sizes)
