"""Recurrent layers: one direction of one layer over packed sequences, forward and through time.

Packed sequences are those of a batch, the longest first, step after step: (sum(batch_sizes), ...),
where batch_sizes[t] sequences are longer than t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.backend.array_module import Array, array_module


def step_slices(batch_sizes: Sequence[int], reverse: bool) -> list[slice]:
    """The rows of each step in packed sequences, in the layer's order of steps."""
    slices, start = [], 0
    for size in batch_sizes:
        slices.append(slice(start, start + size))
        start += size
    return slices[::-1] if reverse else slices


def run_steps(
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


def run_steps_back(
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


def join_steps(parts: Sequence[Array], reverse: bool) -> Array:
    """The parts of all steps as packed sequences."""
    return array_module(parts[0]).concatenate(parts[::-1] if reverse else list(parts))


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
