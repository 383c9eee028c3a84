"""Long short-term memory: one direction of one layer over packed sequences."""

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


def lstm(
    x: Array, h0: Array, c0: Array, w_hh: Array, w_hr: Array | None, batch_sizes: Sequence[int],
    reverse: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """i, f, g, o = x + w_hh h; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c'),
    times w_hr if there is one. x: (all, 4 c); h0: (n, h); c0: (n, c).

    Returns all h beside all c, (all, h + c), and for the gradient h and c before each step, the
    gates, (all, 4, c), and tanh(c').
    """
    xp = array_module(x)
    slices = step_slices(batch_sizes, reverse)
    n = c0.shape[1]
    half = xp.asarray([[0.5], [0.5], [1], [0.5]], x.dtype)  # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2
    other = 1 - half

    def step(x: Array, h: Array, c: Array) -> tuple[Array, ...]:
        a = (x + h @ w_hh.T).reshape(x.shape[0], 4, n)
        gates = xp.tanh(a * half) * half + other
        c = gates[:, 1] * c + gates[:, 0] * gates[:, 2]
        t = xp.tanh(c)
        h = gates[:, 3] * t
        return h if w_hr is None else h @ w_hr.T, c, gates, t

    before, made = run_steps(step, x, (h0, c0), slices)
    h, c, gates, t = (join_steps([m[k] for m in made], reverse) for k in range(4))
    h_before, c_before = (join_steps([b[k] for b in before], reverse) for k in range(2))
    return xp.concatenate([h, c], 1), h_before, c_before, gates, t


def lstm_backward(
    grad: Array, w_hh: Array, w_hr: Array | None, h_before: Array, c_before: Array, gates: Array,
    tanh_c: Array, batch_sizes: Sequence[int], reverse: bool,
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of x, h0, c0, w_hh and w_hr, from that of the output of `lstm`."""
    xp = array_module(grad)
    slices = step_slices(batch_sizes, reverse)
    width, n = h_before.shape[1], c_before.shape[1]
    i, f, g, o = (gates[:, k] for k in range(4))
    # the derivatives: of c' with respect to i, f and g, of o tanh(c') to o and to c'
    of_c = xp.concatenate([g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)], 1)
    of_c = of_c.reshape(of_c.shape[0], 3, n)
    of_o, of_t = (tanh_c * o * (1 - o))[:, None], o * (1 - tanh_c * tanh_c)

    def step_back(_: int, rows: slice, dh: Array, dc: Array) -> tuple[Any, Array, Array]:
        dh = dh + grad[rows, :width]
        dm = dh if w_hr is None else dh @ w_hr
        dc = dc + grad[rows, width:] + dm * of_t[rows]
        da = xp.concatenate([of_c[rows] * dc[:, None], of_o[rows] * dm[:, None]], 1)
        da = da.reshape(da.shape[0], 4 * n)
        return (da, dh), da @ w_hh, dc * f[rows]

    made_back, (dh0, dc0) = run_steps_back(step_back, (width, n), slices, grad)
    da, dh = (join_steps([m[k] for m in made_back], reverse) for k in (0, 1))
    dw_hr = None if w_hr is None else dh.T @ (o * tanh_c)
    return da, dh0, dc0, da.T @ h_before, dw_hr
