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
    out, *kept = kernels.gru(x, h0, w_hh, b_hh, batch_sizes, reverse)

    @memoize_by_gradient
    def gradients(g: Array) -> Any:
        return kernels.gru_backward(g, w_hh, *kept, batch_sizes, reverse)

    return out, (
        lambda g: gradients(g)[0],
        lambda g: gradients(g)[1],
        lambda g: gradients(g)[2],
        lambda g: gradients(g)[3],
    )
