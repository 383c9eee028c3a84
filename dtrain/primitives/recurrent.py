"""Recurrent layers: one direction of one layer over packed sequences, forward and through time.

Packed sequences are those of a batch, the longest first, step after step: (sum(batch_sizes), ...),
where batch_sizes[t] sequences are longer than t. What a layer takes of its input, x, is computed
for all steps at once beforehand. A rule loops over the steps twice: forward, and back with only
what depends on the next step (Werbos 1990); the rest is again computed for all steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels
from dtrain.backend.kernels.reference.recurrent import (
    join_steps,
    run_steps,
    run_steps_back,
    step_slices,
)


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by tanh, of which NumPy has a faster one than of exp."""
    return array_module(x).tanh(x * 0.5) * 0.5 + 0.5


@op
def rnn(
    x: Array, h0: Array, w_hh: Array, *, batch_sizes: Sequence[int], reverse: bool, relu: bool
) -> OutputAndVJPs:
    """h' = tanh(x + w_hh h), or relu (Elman 1990). x: (all, h); h0: (n, h). Returns all h."""
    xp = array_module(x)
    slices = step_slices(batch_sizes, reverse)

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        a = x + h @ w_hh.T
        return (xp.maximum(a, 0) if relu else xp.tanh(a),)

    before, made = run_steps(step, x, (h0,), slices)
    out = join_steps([h for (h,) in made], reverse)

    @memoize_by_gradient
    def gradients(g: Array) -> Any:
        # of NaN 1, as in PyTorch
        slope = 1 - (out <= 0).astype(out.dtype) if relu else 1 - out * out

        def step_back(i: int, rows: slice, dh: Array) -> tuple[Any, Array]:
            da = (g[rows] + dh) * slope[rows]
            return da, da @ w_hh

        das, (dh0,) = run_steps_back(step_back, h0.shape[1:], slices, g)
        da = join_steps(das, reverse)
        return da, dh0, da.T @ join_steps([h for (h,) in before], reverse)

    return out, (
        lambda g: gradients(g)[0],
        lambda g: gradients(g)[1],
        lambda g: gradients(g)[2],
    )


@op
def lstm(
    x: Array, h0: Array, c0: Array, w_hh: Array, w_hr: Array | None = None, *,
    batch_sizes: Sequence[int], reverse: bool,
) -> OutputAndVJPs:  # fmt: skip
    """Long short-term memory (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    i, f, g, o = x + w_hh h; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c'),
    times w_hr if there is one (Sak et al. 2014). x: (all, 4 c); h0: (n, h); c0: (n, c). Returns
    all h beside all c: (all, h + c).
    """
    out, *kept = kernels.lstm(x, h0, c0, w_hh, w_hr, batch_sizes, reverse)

    @memoize_by_gradient
    def gradients(g: Array) -> Any:
        return kernels.lstm_backward(g, w_hh, w_hr, *kept, batch_sizes, reverse)

    return out, (
        lambda g: gradients(g)[0],
        lambda g: gradients(g)[1],
        lambda g: gradients(g)[2],
        lambda g: gradients(g)[3],
        lambda g: gradients(g)[4],
    )


@op
def gru(
    x: Array, h0: Array, w_hh: Array, b_hh: Array | None = None, *,
    batch_sizes: Sequence[int], reverse: bool,
) -> OutputAndVJPs:  # fmt: skip
    """The gated recurrent unit (Cho et al. 2014), with the reset gate after the product.

    r, z, m = w_hh h + b_hh; r = sigmoid(r + x_r); z = sigmoid(z + x_z); n = tanh(r m + x_n);
    h' = (1 - z) n + z h. x: (all, 3 h); h0: (n, h). Returns all h.
    """
    xp = array_module(x)
    slices = step_slices(batch_sizes, reverse)
    width = h0.shape[1]

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        a = h @ w_hh.T
        a = (a if b_hh is None else a + b_hh).reshape(x.shape[0], 3, width)
        x = x.reshape(x.shape[0], 3, width)
        r_z = _sigmoid(x[:, :2] + a[:, :2])
        m = a[:, 2]
        n = xp.tanh(x[:, 2] + r_z[:, 0] * m)
        return n + r_z[:, 1] * (h - n), r_z, m, n

    before, made = run_steps(step, x, (h0,), slices)
    out = join_steps([m[0] for m in made], reverse)

    @memoize_by_gradient
    def gradients(g: Array) -> Any:
        h = join_steps([b[0] for b in before], reverse)
        r_z, m, n = (join_steps([parts[k] for parts in made], reverse) for k in (1, 2, 3))
        r, z = r_z[:, 0], r_z[:, 1]
        # the derivatives of h' with respect to the sums inside of r, z, n, and to m
        of_n = (1 - z) * (1 - n * n)
        of_r, of_z, of_m = of_n * m * r * (1 - r), (h - n) * z * (1 - z), of_n * r
        of_a = xp.concatenate([of_r, of_z, of_m], 1).reshape(h.shape[0], 3, width)

        def step_back(i: int, rows: slice, dh: Array) -> tuple[Any, Array]:
            dh = dh + g[rows]
            da = (of_a[rows] * dh[:, None]).reshape(dh.shape[0], 3 * width)
            return (dh, da), dh * z[rows] + da @ w_hh

        made_back, (dh0,) = run_steps_back(step_back, (width,), slices, g)
        dh, da = (join_steps([parts[k] for parts in made_back], reverse) for k in (0, 1))
        dx = xp.concatenate([da[:, : 2 * width], dh * of_n], 1)
        return dx, dh0, da.T @ h, da.sum(0)

    return out, (
        lambda g: gradients(g)[0],
        lambda g: gradients(g)[1],
        lambda g: gradients(g)[2],
        lambda g: gradients(g)[3],
    )
