"""`pad`: constants, or copies of the edges, around a tensor (torch.nn.functional.pad)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.functions.autocast import autocasts
from dtrain.functions.shapes import broadcast_to, flip, narrow
from dtrain.primitives import casts, joining, padding as primitives

Pair = tuple[int, int]


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Padded by (before, after) pairs from the last dimension on (torch.nn.functional.pad).

    `mode` is "constant", "reflect", "replicate" or "circular"; negative widths cut.
    """
    pairs = list(zip(pad[::2], pad[1::2]))
    if len(pad) % 2 or len(pairs) > input.ndim:
        raise RuntimeError(
            f"pad: expected at most {input.ndim} pairs (before, after) for shape {input.shape}, "
            f"got {list(pad)}"
        )
    if mode == "constant":
        return _pad_constant(input, pairs, 0 if value is None else value)
    if mode not in _EDGES:
        raise NotImplementedError(f"pad: unrecognized mode {mode!r}; expected {list(_EDGES)}")
    if value:
        raise RuntimeError(f"pad: mode {mode!r} takes no value, got {value}")
    if len(pairs) not in (input.ndim - 1, input.ndim - 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} pads all dimensions but a batch's and the channels', got "
            f"{list(pad)} for shape {input.shape}"
        )
    if 0 in input.shape[input.ndim - len(pairs) - 1 :]:
        raise RuntimeError(f"pad: expected elements to pad, got a tensor of shape {input.shape}")
    if mode == "circular":
        return _pad_dims(input, pairs, mode)
    return pad_edges(input, pairs, mode)


@autocasts
def pad_edges(input: Tensor, pairs: Sequence[Pair], mode: str) -> Tensor:
    """Padded by "reflect" or "replicate": the modes that PyTorch's lists of autocast name."""
    return _pad_dims(input, pairs, mode)


def _pad_dims(input: Tensor, pairs: Sequence[Pair], mode: str) -> Tensor:
    for i, width in enumerate(pairs):
        input = _pad_edges(input, input.ndim - 1 - i, width, mode)
    return input


def _pad_constant(input: Tensor, pairs: Sequence[Pair], value: float) -> Tensor:
    widths = ((0, 0),) * (input.ndim - len(pairs)) + tuple(reversed(pairs))
    for n, (before, after) in zip(input.shape, widths):
        if n + min(before, 0) + min(after, 0) < 0:
            raise RuntimeError(f"pad: widths {before, after} cut more than the {n} that there are")
    if not input.ndim:
        return casts.clone(input)
    return primitives.pad_constant(input, widths=widths, value=value)


#: for each mode, from (length, before, after): where the edge parts start, which flip, the limit
_EDGES: dict[str, Any] = {
    "reflect": lambda n, a, b: (1, n - 1 - b, True, n - 1),
    "replicate": lambda n, a, b: (0, n - 1, False, math.inf),
    "circular": lambda n, a, b: (n - a, 0, False, n),
}


def _pad_edges(input: Tensor, dim: int, widths: Pair, mode: str) -> Tensor:
    """One dimension padded.

    "circular" cuts first, so that the edges are of what is left; the others cut in the end.
    """
    before, after = (max(w, 0) for w in widths)
    cut, cut_after = (max(-w, 0) for w in widths)
    if mode == "circular":
        input, cut, cut_after = _cut(input, dim, cut, cut_after), 0, 0
    length = input.shape[dim]
    head, tail, mirrored, limit = _EDGES[mode](length, before, after)
    if max(before, after) > limit or (length + sum(widths) < 1 and mode != "circular"):
        raise RuntimeError(
            f"pad: mode {mode!r} pads a dimension of size {length} by at most {limit}, and leaves "
            f"some of it, got {widths}"
        )
    edges = []
    for start, width in ((head, before), (tail, after)):
        edge = narrow(input, dim, start, 1 if mode == "replicate" else width)
        full = (*input.shape[:dim], width, *input.shape[dim + 1 :])
        edges.append(flip(edge, dim) if mirrored else broadcast_to(edge, full))
    return _cut(joining.cat(edges[0], input, edges[1], axis=dim), dim, cut, cut_after)


def _cut(input: Tensor, dim: int, before: int, after: int) -> Tensor:
    return narrow(input, dim, before, input.shape[dim] - before - after)
