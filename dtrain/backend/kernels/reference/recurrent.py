"""Loops over the steps of packed sequences, forward and through time.

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
