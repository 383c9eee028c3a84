"""The gated recurrent unit over packed sequences in float32: all steps in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.recurrent import multiply, pack, rows_of_steps, sigmoid, tanh
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference import gru as reference

_F = np.float32


@compiled
def _gru(
    x: np.ndarray,
    h: np.ndarray,
    panels: np.ndarray,
    bias: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    out: np.ndarray,
    h_before: np.ndarray,
    r_z: np.ndarray,
    m: np.ndarray,
    n: np.ndarray,
) -> None:
    """All steps; h, the state, is updated. r_z: (all, 2 width); the other results: (all, width)."""
    width = h.shape[1]
    product = np.empty((h.shape[0], panels.shape[0] * LANES), np.float32)
    for step in range(sizes.size):
        start, size = starts[step], sizes[step]
        multiply(h, size, panels, product)
        for i in range(size):
            row = start + i
            for j in range(2 * width):
                r_z[row, j] = sigmoid(x[row, j] + (product[i, j] + bias[j]))
            for j in range(width):
                k = 2 * width + j
                m[row, j] = product[i, k] + bias[k]
                n[row, j] = tanh(x[row, k] + r_z[row, j] * m[row, j])
            for j in range(width):
                h_before[row, j] = h[i, j]
                h[i, j] = n[row, j] + r_z[row, width + j] * (h[i, j] - n[row, j])
                out[row, j] = h[i, j]


@compiled
def _gru_backward(
    grad: np.ndarray,
    h_before: np.ndarray,
    r_z: np.ndarray,
    m: np.ndarray,
    n: np.ndarray,
    panels: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    dh: np.ndarray,
    da: np.ndarray,
    dx: np.ndarray,
) -> None:
    """da, dx = the gradients of w_hh h and of x, (all, 3 width); dh, (rows, width), becomes that of
    the initial state."""
    width, one = h_before.shape[1], _F(1)
    product = np.empty((dh.shape[0], panels.shape[0] * LANES), np.float32)
    for step in range(sizes.size - 1, -1, -1):
        start, size = starts[step], sizes[step]
        for i in range(size):
            row = start + i
            for j in range(width):
                r, z, tanh_n = r_z[row, j], r_z[row, width + j], n[row, j]
                through = dh[i, j] + grad[row, j]
                along = through * ((one - z) * (one - tanh_n * tanh_n))
                dh[i, j] = through * z
                dx[row, j] = along * (m[row, j] * r * (one - r))
                dx[row, width + j] = through * ((h_before[row, j] - tanh_n) * z * (one - z))
                dx[row, 2 * width + j] = along
                da[row, 2 * width + j] = along * r
            for j in range(2 * width):
                da[row, j] = dx[row, j]
        multiply(da[start : start + size], size, panels, product)
        for i in range(size):
            for j in range(width):
                dh[i, j] += product[i, j]


def gru(
    x: np.ndarray, h0: np.ndarray, w_hh: np.ndarray, b_hh: np.ndarray | None,
    batch_sizes: Sequence[int], reverse: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """All h, (all, width), and what the gradient needs."""
    if x.dtype != np.float32:
        return reference.gru(x, h0, w_hh, b_hh, batch_sizes, reverse)
    rows, width = len(x), h0.shape[1]
    out, h_before, m, n = np.empty((4, rows, width), np.float32)
    r_z = np.empty((rows, 2, width), np.float32)
    bias = np.zeros(3 * width, np.float32) if b_hh is None else np.ascontiguousarray(b_hh)
    starts, sizes = rows_of_steps(batch_sizes, reverse)
    _gru(
        np.ascontiguousarray(x), h0.copy(), pack(w_hh.T), bias, starts, sizes, out, h_before,
        r_z.reshape(rows, 2 * width), m, n,
    )  # fmt: skip
    return out, h_before, r_z, m, n


def gru_backward(
    grad: np.ndarray, w_hh: np.ndarray, h_before: np.ndarray, r_z: np.ndarray, m: np.ndarray,
    n: np.ndarray, batch_sizes: Sequence[int], reverse: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The gradients of x, h0, w_hh and b_hh."""
    if grad.dtype != np.float32:
        return reference.gru_backward(grad, w_hh, h_before, r_z, m, n, batch_sizes, reverse)
    rows, width = h_before.shape
    dh = np.zeros((max(batch_sizes, default=0), width), np.float32)
    da, dx = np.empty((2, rows, 3 * width), np.float32)
    starts, sizes = rows_of_steps(batch_sizes, reverse)
    _gru_backward(
        np.ascontiguousarray(grad), h_before, r_z.reshape(rows, 2 * width), m, n, pack(w_hh),
        starts, sizes, dh, da, dx,
    )  # fmt: skip
    return dx, dh, da.T @ h_before, da.sum(0)
