"""Activation checkpointing: recompute instead of store (torch.utils.checkpoint)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd.recompute import checkpoint as checkpoint
from dtrain.nn import Sequential


def checkpoint_sequential(
    functions: Sequential | Sequence[Callable[[Any], Any]],
    segments: int,
    input: Any,
    **options: Any,
) -> Any:
    """Apply functions in order, recomputing all segments but the last in the backward pass.

    Mirrors torch.utils.checkpoint.checkpoint_sequential.

    Parameters
    ----------
    functions : a Sequential, or functions of one argument
    segments : into how many segments the functions are divided
    input : the argument of the first function
    **options : those of `checkpoint`

    Examples
    --------
    >>> import dtrain
    >>> model = dtrain.nn.Sequential(dtrain.nn.Linear(2, 3), dtrain.nn.Tanh())
    >>> checkpoint_sequential(model, 2, dtrain.zeros(4, 2)).shape
    dtrain.Size([4, 3])
    """
    layers: list[Callable[[Any], Any]] = list(functions)
    if not 1 <= segments <= len(layers):
        raise ValueError(
            f"checkpoint_sequential: expected 1 to {len(layers)} segments (one per function at "
            f"most), got {segments}"
        )
    length = len(layers) // segments

    def make_segment(layers: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def segment(value: Any) -> Any:
            for layer in layers:
                value = layer(value)
            return value

        return segment

    for start in range(0, length * (segments - 1), length):
        input = checkpoint(make_segment(layers[start : start + length]), input, **options)
    return make_segment(layers[length * (segments - 1) :])(input)
