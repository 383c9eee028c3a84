"""The gated recurrent unit: one direction of one layer over packed sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.kernels.reference.recurrent import (
    join_steps,
    run_steps,
    run_steps_back,
    step_slices,
)


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by tanh, of which NumPy has a faster one than of exp."""
    return array_module(x).tanh(x * 0.5) * 0.5 + 0.5


def gru(
    x: Array, h0: Array, w_hh: Array, b_hh: Array | None, batch_sizes: Sequence[int], reverse: bool
) -> tuple[Array, ...]:
    """r, z, m = w_hh h + b_hh; r = sigmoid(r + x_r); z = sigmoid(z + x_z); n = tanh(r m + x_n);
    h' = (1 - z) n + z h. x: (all, 3 h); h0: (n, h).

    Returns all h, and for the gradient h before each step, r beside z, (all, 2, h), m and n.
    """
    xp = array_module(x)
    width = h0.shape[1]

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        a = h @ w_hh.T
        a = (a if b_hh is None else a + b_hh).reshape(x.shape[0], 3, width)
        x = x.reshape(x.shape[0], 3, width)
        r_z = _sigmoid(x[:, :2] + a[:, :2])
        m = a[:, 2]
        n = xp.tanh(x[:, 2] + r_z[:, 0] * m)
        return n + r_z[:, 1] * (h - n), r_z, m, n

    before, made = run_steps(step, x, (h0,), step_slices(batch_sizes, reverse))
    h, r_z, m, n = (join_steps([parts[k] for parts in made], reverse) for k in range(4))
    return h, join_steps([states[0] for states in before], reverse), r_z, m, n


def gru_backward(
    grad: Array, w_hh: Array, h_before: Array, r_z: Array, m: Array, n: Array,
    batch_sizes: Sequence[int], reverse: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """The gradients of x, h0, w_hh and b_hh, from that of the output of `gru`."""
    xp = array_module(grad)
    slices = step_slices(batch_sizes, reverse)
    width = h_before.shape[1]
    r, z = r_z[:, 0], r_z[:, 1]
    # the derivatives of h' with respect to the sums inside of r, z, n, and to m
    of_n = (1 - z) * (1 - n * n)
    of_r, of_z, of_m = of_n * m * r * (1 - r), (h_before - n) * z * (1 - z), of_n * r
    of_a = xp.concatenate([of_r, of_z, of_m], 1).reshape(h_before.shape[0], 3, width)

    def step_back(_: int, rows: slice, dh: Array) -> tuple[Any, Array]:
        dh = dh + grad[rows]
        da = (of_a[rows] * dh[:, None]).reshape(dh.shape[0], 3 * width)
        return (dh, da), dh * z[rows] + da @ w_hh

    made_back, (dh0,) = run_steps_back(step_back, (width,), slices, grad)
    dh, da = (join_steps([parts[k] for parts in made_back], reverse) for k in (0, 1))
    dx = xp.concatenate([da[:, : 2 * width], dh * of_n], 1)
    return dx, dh0, da.T @ h_before, da.sum(0)
