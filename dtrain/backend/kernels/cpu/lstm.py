"""LSTM over packed sequences in float32: all steps in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.packed_factor import pack_if_worthwhile
from dtrain.backend.kernels.cpu.product import matmul
from dtrain.backend.kernels.cpu.recurrent import (
    EMPTY,
    copy_row,
    empty_product,
    multiply,
    pack,
    rows_of_steps,
    run_steps,
    sigmoid,
    tanh,
)
from dtrain.backend.kernels.reference import lstm as reference

_F = np.float32


@inlined
def _step_of_row(x: Any, product: Any, gates: Any, c: Any, tanh_c: Any, h: Any) -> None:
    """gates, (4 n,): sigmoid and tanh of x + product; c becomes the new state, h and tanh_c those
    of it.

    Loops that begin at 0 and have few arrays, which may overlap, are vector code.
    """
    n = c.size
    i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    for j in range(4 * n):
        gates[j] = x[j] + product[j]
    sigmoid(gates[: 2 * n])
    tanh(g)
    sigmoid(o)
    for j in range(n):
        c[j] = f[j] * c[j] + i[j] * g[j]
    copy_row(c, tanh_c)
    tanh(tanh_c)
    for j in range(n):
        h[j] = o[j] * tanh_c[j]


@compiled(wide=True)
def _lstm(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, panels: np.ndarray,
    product: np.ndarray, starts: np.ndarray, sizes: np.ndarray, out: np.ndarray,
    h_before: np.ndarray, c_before: np.ndarray, gates: np.ndarray, tanh_c: np.ndarray,
) -> None:  # fmt: skip
    """All steps; h and c, the states, are updated. out: (all, h + c), gates: (all, 4 n). A single
    step's product is there."""
    n = h.shape[1]
    for step in range(sizes.size):
        start, size = starts[step], sizes[step]
        if sizes.size > 1:
            multiply(h, 0, size, panels, product)
        for i in range(size):
            row = start + i
            copy_row(h[i], h_before[row])
            copy_row(c[i], c_before[row])
            _step_of_row(x[row], product[i], gates[row], c[i], tanh_c[row], h[i])
            copy_row(h[i], out[row, :n])
            copy_row(c[i], out[row, n:])


@inlined
def _gradients_of_row(
    gates: Any, t: Any, c_before: Any, grad: Any, dh: Any, dc: Any, da: Any
) -> None:
    """da, (4 n,), from the gradients of h and c; their parts by way of the next step are dh, to
    which that of h is added, and dc, which becomes that of c_before."""
    n, one = t.size, _F(1)
    i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    grad_h, grad_c = grad[:n], grad[n:]
    di, df, dg, do = da[:n], da[n : 2 * n], da[2 * n : 3 * n], da[3 * n :]
    for j in range(n):
        dh[j] += grad_h[j]
    for j in range(n):
        dc[j] = dc[j] + grad_c[j] + dh[j] * (o[j] * (one - t[j] * t[j]))
    for j in range(n):
        di[j] = dc[j] * (g[j] * i[j] * (one - i[j]))
    for j in range(n):
        df[j] = dc[j] * (c_before[j] * f[j] * (one - f[j]))
    for j in range(n):
        dg[j] = dc[j] * (i[j] * (one - g[j] * g[j]))
    for j in range(n):
        do[j] = dh[j] * (t[j] * o[j] * (one - o[j]))
    for j in range(n):
        dc[j] *= f[j]


@compiled(wide=True)
def _lstm_backward(
    grad: np.ndarray, gates: np.ndarray, tanh_c: np.ndarray, c_before: np.ndarray,
    panels: np.ndarray, product: np.ndarray, starts: np.ndarray, sizes: np.ndarray, dh: np.ndarray,
    dc: np.ndarray, da: np.ndarray,
) -> None:  # fmt: skip
    """da = the gradient of x, (all, 4 n); dh and dc, (rows, n), become those of the states; dh of a
    single step is not made."""
    for step in range(sizes.size - 1, -1, -1):
        start, size = starts[step], sizes[step]
        for k in range(size):
            row = start + k
            _gradients_of_row(
                gates[row], tanh_c[row], c_before[row], grad[row], dh[k], dc[k], da[row]
            )
        if sizes.size > 1:
            multiply(da, start, size, panels, product)
            for k in range(size):
                copy_row(product[k], dh[k])


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
    x, h, c = np.ascontiguousarray(x), h0.copy(), c0.copy()

    def run(product: np.ndarray, steps: slice, panels: np.ndarray = EMPTY) -> None:
        _lstm(
            x, h, c, panels, product, starts[steps], sizes[steps], out, h_before, c_before,
            gates.reshape(rows, 4 * n), tanh_c,
        )  # fmt: skip

    run_steps(run, h0, h, w_hh, sizes)
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
    da, dc = np.empty((rows, 4 * n), np.float32), np.zeros((most, n), np.float32)
    dh = np.zeros((most, n), np.float32)
    starts, sizes = rows_of_steps(batch_sizes, reverse)
    one, grad = len(batch_sizes) == 1, np.ascontiguousarray(grad)

    def run(product: np.ndarray, steps: slice, panels: np.ndarray = EMPTY) -> None:
        _lstm_backward(
            grad, gates.reshape(rows, 4 * n), tanh_c, c_before, panels, product, starts[steps],
            sizes[steps], dh, dc, da,
        )  # fmt: skip

    if one:
        run(dh, slice(1))
        dh = da @ w_hh
    elif (factor := pack_if_worthwhile(w_hh, most)) is not None:
        for step in range(len(sizes) - 1, -1, -1):
            run(dh, slice(step, step + 1))
            start, size = starts[step], sizes[step]
            factor.multiply(da[start : start + size], dh)
    else:
        panels = pack(w_hh, transposed=False)
        run(empty_product(most, panels), slice(None), panels)
    return da, dh, dc, matmul(da.T, h_before), None
