"""LSTM over packed sequences in float32: all steps in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.recurrent import multiply, pack, rows_of_steps, sigmoid, tanh
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference import lstm as reference

_F = np.float32


@compiled
def _lstm(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    panels: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    out: np.ndarray,
    h_before: np.ndarray,
    c_before: np.ndarray,
    gates: np.ndarray,
    tanh_c: np.ndarray,
) -> None:
    """All steps; h and c, the states, are updated. out: (all, h + c), gates: (all, 4 n)."""
    n = h.shape[1]
    product = np.empty((h.shape[0], panels.shape[0] * LANES), np.float32)
    for step in range(sizes.size):
        start, size = starts[step], sizes[step]
        multiply(h, size, panels, product)
        for i in range(size):
            row = start + i
            for j in range(n):
                h_before[row, j], c_before[row, j] = h[i, j], c[i, j]
            for j in range(n):
                gates[row, j] = sigmoid(x[row, j] + product[i, j])
                gates[row, n + j] = sigmoid(x[row, n + j] + product[i, n + j])
            for j in range(n):
                gates[row, 2 * n + j] = tanh(x[row, 2 * n + j] + product[i, 2 * n + j])
                gates[row, 3 * n + j] = sigmoid(x[row, 3 * n + j] + product[i, 3 * n + j])
            for j in range(n):
                new = gates[row, n + j] * c[i, j] + gates[row, j] * gates[row, 2 * n + j]
                t = tanh(new)
                c[i, j], tanh_c[row, j] = new, t
                h[i, j] = gates[row, 3 * n + j] * t
                out[row, j], out[row, n + j] = h[i, j], new


@compiled
def _lstm_backward(
    grad: np.ndarray,
    gates: np.ndarray,
    tanh_c: np.ndarray,
    c_before: np.ndarray,
    panels: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    dh: np.ndarray,
    dc: np.ndarray,
    da: np.ndarray,
) -> None:
    """da = the gradient of x, (all, 4 n); dh and dc, (rows, n), become those of the states."""
    n, one = c_before.shape[1], _F(1)
    for step in range(sizes.size - 1, -1, -1):
        start, size = starts[step], sizes[step]
        for k in range(size):
            row = start + k
            for j in range(n):
                i, f = gates[row, j], gates[row, n + j]
                g, o = gates[row, 2 * n + j], gates[row, 3 * n + j]
                t, through = tanh_c[row, j], dh[k, j] + grad[row, j]
                along = dc[k, j] + grad[row, n + j] + through * (o * (one - t * t))
                da[row, j] = along * (g * i * (one - i))
                da[row, n + j] = along * (c_before[row, j] * f * (one - f))
                da[row, 2 * n + j] = along * (i * (one - g * g))
                da[row, 3 * n + j] = through * (t * o * (one - o))
                dc[k, j] = along * f
        multiply(da[start : start + size], size, panels, dh)


def lstm(
    x: np.ndarray, h0: np.ndarray, c0: np.ndarray, w_hh: np.ndarray, w_hr: np.ndarray | None,
    batch_sizes: Sequence[int], reverse: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """All h beside all c, (all, h + c), and what the gradient needs."""
    if x.dtype != np.float32 or w_hr is not None:
        return reference.lstm(x, h0, c0, w_hh, w_hr, batch_sizes, reverse)
    rows, n = len(x), h0.shape[1]
    out, gates = np.empty((rows, 2 * n), np.float32), np.empty((rows, 4, n), np.float32)
    h_before, c_before, tanh_c = np.empty((3, rows, n), np.float32)
    starts, sizes = rows_of_steps(batch_sizes, reverse)
    _lstm(
        np.ascontiguousarray(x), h0.copy(), c0.copy(), pack(w_hh.T), starts, sizes, out,
        h_before, c_before, gates.reshape(rows, 4 * n), tanh_c,
    )  # fmt: skip
    return out, h_before, c_before, gates, tanh_c


def lstm_backward(
    grad: np.ndarray, w_hh: np.ndarray, w_hr: np.ndarray | None, h_before: np.ndarray,
    c_before: np.ndarray, gates: np.ndarray, tanh_c: np.ndarray, batch_sizes: Sequence[int],
    reverse: bool,
) -> tuple[np.ndarray | None, ...]:  # fmt: skip
    """The gradients of x, h0, c0, w_hh and w_hr."""
    if grad.dtype != np.float32 or w_hr is not None:
        return reference.lstm_backward(
            grad, w_hh, w_hr, h_before, c_before, gates, tanh_c, batch_sizes, reverse
        )
    rows, n = c_before.shape
    most = max(batch_sizes, default=0)
    panels = pack(w_hh)
    da, dc = np.empty((rows, 4 * n), np.float32), np.zeros((most, n), np.float32)
    dh = np.zeros((most, panels.shape[0] * LANES), np.float32)
    starts, sizes = rows_of_steps(batch_sizes, reverse)
    _lstm_backward(
        np.ascontiguousarray(grad), gates.reshape(rows, 4 * n), tanh_c, c_before, panels, starts,
        sizes, dh, dc, da,
    )  # fmt: skip
    return da, np.ascontiguousarray(dh[:, :n]), dc, da.T @ h_before, None
