"""Computing again instead of keeping (torch.utils.checkpoint)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd.recompute import checkpoint as checkpoint
from dtrain.nn import Sequential


def checkpoint_sequential(
    functions: Sequential | Sequence[Callable], segments: int, input: Any, **options: Any
) -> Any:
    """The functions one after the other, all but the last of their segments checkpointed.

    Mirrors torch.utils.checkpoint.checkpoint_sequential; `options` are those of `checkpoint`.

    >>> import dtrain
    >>> model = dtrain.nn.Sequential(dtrain.nn.Linear(2, 3), dtrain.nn.Tanh())
    >>> checkpoint_sequential(model, 2, dtrain.zeros(4, 2)).shape
    dtrain.Size([4, 3])
    """
    layers: list[Callable] = list(functions)
    if not 1 <= segments <= len(layers):
        raise ValueError(
            f"checkpoint_sequential: expected 1 to {len(layers)} segments, as many as functions "
            f"at most, got {segments}"
        )
    length = len(layers) // segments

    def run(layers: Sequence[Callable]) -> Callable:
        def segment(value: Any) -> Any:
            for layer in layers:
                value = layer(value)
            return value

        return segment

    for start in range(0, length * (segments - 1), length):
        input = checkpoint(run(layers[start : start + length]), input, **options)
    return run(layers[length * (segments - 1) :])(input)
