"""Recurrent layers: one direction of one layer over packed sequences, forward and through time.

Packed sequences are those of a batch, the longest first, step after step: (sum(batch_sizes), ...),
where batch_sizes[t] sequences are longer than t. What a layer takes of its input, x, is computed
for all steps at once beforehand. A rule loops over the steps twice: forward, and back with only
what depends on the next step (Werbos 1990); the rest is again computed for all steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


def _step_slices(batch_sizes: Sequence[int], reverse: bool) -> list[slice]:
    """The rows of each step in packed sequences, in the layer's order of steps."""
    slices, start = [], 0
    for size in batch_sizes:
        slices.append(slice(start, start + size))
        start += size
    return slices[::-1] if reverse else slices


def _forward(
    step: Callable, x: Array, initial: Sequence[Array], slices: Sequence[slice]
) -> tuple[list[Any], list[Any]]:
    """`step(x_t, *states)` returns the new states, then what the backward pass needs, for the
    rows of each step.

    Returns, for each step, the states before it and what it returned.
    """
    xp = array_module(x)
    states = [state[:0] for state in initial]
    before, made = [], []
    for rows in slices:
        size, running = rows.stop - rows.start, states[0].shape[0]
        if size < running:  # some sequences have ended
            states = [state[:size] for state in states]
        elif size > running:  # more begin, at their ends
            states = [
                xp.concatenate([state, first[running:size]])
                for state, first in zip(states, initial)
            ]
        parts = step(x[rows], *states)
        before.append(states)
        made.append(parts)
        states = list(parts[: len(initial)])
    return before, made


def _backward(
    step: Callable, widths: Sequence[int], slices: Sequence[slice], like: Array
) -> tuple[list[Any], list[Array]]:
    """`step(i, rows, *gradients)` returns its result and the gradients of the states before it.

    Returns the results of all steps, and the gradients of the initial states.
    """
    xp = array_module(like)

    def zeros(count: int) -> list[Array]:
        return [xp.zeros((count, width), like.dtype) for width in widths]

    gradients, ended, made = zeros(0), [], []
    for i, rows in reversed(list(enumerate(slices))):
        size, running = rows.stop - rows.start, gradients[0].shape[0]
        if size < running:
            ended.append([gradient[size:] for gradient in gradients])
            gradients = [gradient[:size] for gradient in gradients]
        elif size > running:
            more = zeros(size - running)
            gradients = [xp.concatenate(pair) for pair in zip(gradients, more)]
        parts, *gradients = step(i, rows, *gradients)
        made.append(parts)
    of_initial = [xp.concatenate(parts) for parts in zip(gradients, *reversed(ended))]
    return made[::-1], of_initial


def _joined(parts: Sequence[Array], reverse: bool) -> Array:
    """The parts of all steps as packed sequences."""
    return array_module(parts[0]).concatenate(parts[::-1] if reverse else list(parts))


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by tanh, of which NumPy has a faster one than of exp."""
    return array_module(x).tanh(x * 0.5) * 0.5 + 0.5


@op
def rnn(
    x: Array, h0: Array, w_hh: Array, *, batch_sizes: Sequence[int], reverse: bool, relu: bool
) -> OutputAndVJPs:
    """h' = tanh(x + w_hh h), or relu (Elman 1990). x: (all, h); h0: (n, h). Returns all h."""
    xp = array_module(x)
    slices = _step_slices(batch_sizes, reverse)

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        a = x + h @ w_hh.T
        return (xp.maximum(a, 0) if relu else xp.tanh(a),)

    before, made = _forward(step, x, (h0,), slices)
    out = _joined([h for (h,) in made], reverse)

    @memoize_by_gradient
    def gradients(g: Array) -> Any:
        slope = (out > 0).astype(out.dtype) if relu else 1 - out * out

        def step_back(i: int, rows: slice, dh: Array) -> tuple[Any, Array]:
            da = (g[rows] + dh) * slope[rows]
            return da, da @ w_hh

        das, (dh0,) = _backward(step_back, h0.shape[1:], slices, g)
        da = _joined(das, reverse)
        return da, dh0, da.T @ _joined([h for (h,) in before], reverse)

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
    xp = array_module(x)
    slices = _step_slices(batch_sizes, reverse)
    width, n = h0.shape[1], c0.shape[1]

    half = xp.asarray([[0.5], [0.5], [1], [0.5]], x.dtype)  # sigmoid(a) = tanh(a / 2) / 2 + 1 / 2
    other = 1 - half

    def step(x: Array, h: Array, c: Array) -> tuple[Array, ...]:
        a = (x + h @ w_hh.T).reshape(x.shape[0], 4, n)
        gates = xp.tanh(a * half) * half + other
        c = gates[:, 1] * c + gates[:, 0] * gates[:, 2]
        t = xp.tanh(c)
        h = gates[:, 3] * t
        return h if w_hr is None else h @ w_hr.T, c, gates, t

    before, made = _forward(step, x, (h0, c0), slices)
    out = xp.concatenate([_joined([m[k] for m in made], reverse) for k in (0, 1)], 1)

    @memoize_by_gradient
    def gradients(grad: Array) -> Any:
        h, c = (_joined([b[k] for b in before], reverse) for k in (0, 1))
        gates, t = (_joined([m[k] for m in made], reverse) for k in (2, 3))
        i, f, g, o = (gates[:, k] for k in range(4))
        # the derivatives: of c' with respect to i, f and g, of o tanh(c') to o and to c'
        of_c = xp.concatenate([g * i * (1 - i), c * f * (1 - f), i * (1 - g * g)], 1)
        of_c = of_c.reshape(of_c.shape[0], 3, n)
        of_o, of_t = (t * o * (1 - o))[:, None], o * (1 - t * t)

        def step_back(i: int, rows: slice, dh: Array, dc: Array) -> tuple[Any, Array, Array]:
            dh = dh + grad[rows, :width]
            dm = dh if w_hr is None else dh @ w_hr
            dc = dc + grad[rows, width:] + dm * of_t[rows]
            da = xp.concatenate([of_c[rows] * dc[:, None], of_o[rows] * dm[:, None]], 1)
            da = da.reshape(da.shape[0], 4 * n)
            return (da, dh), da @ w_hh, dc * f[rows]

        made_back, (dh0, dc0) = _backward(step_back, (width, n), slices, grad)
        da, dh = (_joined([m[k] for m in made_back], reverse) for k in (0, 1))
        dw_hr = None if w_hr is None else dh.T @ (o * t)
        return da, dh0, dc0, da.T @ h, dw_hr

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
    slices = _step_slices(batch_sizes, reverse)
    width = h0.shape[1]

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        a = h @ w_hh.T
        a = (a if b_hh is None else a + b_hh).reshape(x.shape[0], 3, width)
        x = x.reshape(x.shape[0], 3, width)
        r_z = _sigmoid(x[:, :2] + a[:, :2])
        m = a[:, 2]
        n = xp.tanh(x[:, 2] + r_z[:, 0] * m)
        return n + r_z[:, 1] * (h - n), r_z, m, n

    before, made = _forward(step, x, (h0,), slices)
    out = _joined([m[0] for m in made], reverse)

    @memoize_by_gradient
    def gradients(g: Array) -> Any:
        h = _joined([b[0] for b in before], reverse)
        r_z, m, n = (_joined([parts[k] for parts in made], reverse) for k in (1, 2, 3))
        r, z = r_z[:, 0], r_z[:, 1]
        # the derivatives of h' with respect to the sums inside of r, z, n, and to m
        of_n = (1 - z) * (1 - n * n)
        of_r, of_z, of_m = of_n * m * r * (1 - r), (h - n) * z * (1 - z), of_n * r
        of_a = xp.concatenate([of_r, of_z, of_m], 1).reshape(h.shape[0], 3, width)

        def step_back(i: int, rows: slice, dh: Array) -> tuple[Any, Array]:
            dh = dh + g[rows]
            da = (of_a[rows] * dh[:, None]).reshape(dh.shape[0], 3 * width)
            return (dh, da), dh * z[rows] + da @ w_hh

        made_back, (dh0,) = _backward(step_back, (width,), slices, g)
        dh, da = (_joined([parts[k] for parts in made_back], reverse) for k in (0, 1))
        dx = xp.concatenate([da[:, : 2 * width], dh * of_n], 1)
        return dx, dh0, da.T @ h, da.sum(0)

    return out, (
        lambda g: gradients(g)[0],
        lambda g: gradients(g)[1],
        lambda g: gradients(g)[2],
        lambda g: gradients(g)[3],
    )
