"""The gated recurrent unit over packed sequences in float32: all steps in one call."""

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
from dtrain.backend.kernels.reference import gru as reference

_F = np.float32


@inlined
def _state_of_row(x: Any, product: Any, bias: Any, r_z: Any, m: Any, n: Any, h: Any) -> None:
    """The gates of a row, and h, which becomes the new state.

    Loops that begin at 0 and have few arrays, which may overlap, are vector code.
    """
    width = h.size
    for j in range(2 * width):
        r_z[j] = x[j] + (product[j] + bias[j])
    sigmoid(r_z)
    x_n, product_n, bias_n = x[2 * width :], product[2 * width :], bias[2 * width :]
    z = r_z[width:]
    for j in range(width):
        m[j] = product_n[j] + bias_n[j]
    for j in range(width):
        n[j] = x_n[j] + r_z[j] * m[j]
    tanh(n)
    for j in range(width):
        h[j] = n[j] + z[j] * (h[j] - n[j])


@compiled
def _gru(
    x: np.ndarray, h: np.ndarray, panels: np.ndarray, product: np.ndarray,
    bias: np.ndarray, starts: np.ndarray, sizes: np.ndarray, out: np.ndarray, h_before: np.ndarray,
    r_z: np.ndarray, m: np.ndarray, n: np.ndarray,
) -> None:  # fmt: skip
    """All steps; h, the state, is updated. r_z: (all, 2 width); the other results: (all, width). A
    single step's product is there."""
    for step in range(sizes.size):
        start, size = starts[step], sizes[step]
        if sizes.size > 1:
            multiply(h, 0, size, panels, product)
        for i in range(size):
            row = start + i
            copy_row(h[i], h_before[row])
            _state_of_row(x[row], product[i], bias, r_z[row], m[row], n[row], h[i])
            copy_row(h[i], out[row])


@inlined
def _gradients_of_row(
    r_z: Any, m: Any, n: Any, h_before: Any, grad: Any, dh: Any, da: Any, dx: Any
) -> None:
    """da and dx, (3 width,), from the gradient of h, whose part by way of the next step is dh; dh
    becomes the part of h_before's that is not by way of the product."""
    width, one = n.size, _F(1)
    r, z = r_z[:width], r_z[width:]
    dr, dz, dn = dx[:width], dx[width : 2 * width], dx[2 * width :]
    dm = da[2 * width :]
    for j in range(width):
        dh[j] += grad[j]
    for j in range(width):
        dn[j] = dh[j] * ((one - z[j]) * (one - n[j] * n[j]))
    for j in range(width):
        dr[j] = dn[j] * (m[j] * r[j] * (one - r[j]))
    for j in range(width):
        dz[j] = dh[j] * ((h_before[j] - n[j]) * z[j] * (one - z[j]))
    for j in range(width):
        dm[j] = dn[j] * r[j]
    for j in range(width):
        dh[j] *= z[j]
    copy_row(dx, da[: 2 * width])


@compiled
def _gru_backward(
    grad: np.ndarray, h_before: np.ndarray, r_z: np.ndarray, m: np.ndarray, n: np.ndarray,
    panels: np.ndarray, product: np.ndarray, starts: np.ndarray, sizes: np.ndarray,
    dh: np.ndarray, da: np.ndarray, dx: np.ndarray,
) -> None:  # fmt: skip
    """da, dx = the gradients of w_hh h and of x, (all, 3 width); dh, (rows, width), becomes that of
    the initial state, of a single step but for the product."""
    width = h_before.shape[1]
    for step in range(sizes.size - 1, -1, -1):
        start, size = starts[step], sizes[step]
        for i in range(size):
            row = start + i
            _gradients_of_row(
                r_z[row], m[row], n[row], h_before[row], grad[row], dh[i], da[row], dx[row]
            )
        if sizes.size > 1:
            multiply(da, start, size, panels, product)
            for i in range(size):
                to, part = dh[i], product[i]
                for j in range(width):
                    to[j] += part[j]


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
    x, h = np.ascontiguousarray(x), h0.copy()

    def run(product: np.ndarray, steps: slice, panels: np.ndarray = EMPTY) -> None:
        _gru(
            x, h, panels, product, bias, starts[steps], sizes[steps], out, h_before,
            r_z.reshape(rows, 2 * width), m, n,
        )  # fmt: skip

    run_steps(run, h0, h, w_hh, sizes)
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
    one, grad = len(batch_sizes) == 1, np.ascontiguousarray(grad)

    def run(product: np.ndarray, steps: slice, panels: np.ndarray = EMPTY) -> None:
        _gru_backward(
            grad, h_before, r_z.reshape(rows, 2 * width), m, n, panels, product, starts[steps],
            sizes[steps], dh, da, dx,
        )  # fmt: skip

    if one:
        run(dh, slice(1))
        dh += da @ w_hh
    elif (factor := pack_if_worthwhile(w_hh, len(dh))) is not None:
        product = np.empty_like(dh)
        for step in range(len(sizes) - 1, -1, -1):
            run(product, slice(step, step + 1))
            start, size = starts[step], sizes[step]
            factor.multiply(da[start : start + size], product)
            dh[:size] += product[:size]
    else:
        panels = pack(w_hh, transposed=False)
        run(empty_product(len(dh), panels), slice(None), panels)
    return dx, dh, matmul(da.T, h_before), da.sum(0)
