"""Attention as one operation."""

from __future__ import annotations

import math
from typing import Any

from dtrain.autograd.op import memoize_by_gradient, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, kernels
from dtrain.backend.random import RandomKey


@op(takes_halves=True)
def attention(
    query: Array, key: Array, value: Array, *, scale: float, is_causal: bool,
    mask: Array | None = None, dropout: float = 0.0, random_key: RandomKey | None = None,
) -> OutputAndVJPs:  # fmt: skip
    """softmax(query key^T scale + mask) value, with dropout of the softmax's weights; causal: query
    i sees the keys 0..i only.

    query: (n, heads, t, d); key: (n, shared heads, s, d); value: (n, shared heads, s, e).

    Parameters
    ----------
    mask : broadcasts to (n, heads, t, s); bool, True where a query sees a key, or added
    random_key : of the random numbers of dropout, as `Generator.draw_key` gives it
    """
    how = scale, is_causal, mask, dropout, random_key
    out, log_sums = kernels.attention(query, key, value, *how)

    @memoize_by_gradient
    def shared(g: Array) -> Any:
        return kernels.attention_backward(g, query, key, value, out, log_sums, *how)

    return out, (lambda g: shared(g)[0], lambda g: shared(g)[1], lambda g: shared(g)[2])


@op(takes_halves=True)
def causal_softmax(scores: Array, *, first: int = 0) -> OutputAndVJPs:
    """softmax of the scores of the keys that a query sees, 0 for the others; query i sees the keys
    0..first + i. scores: (..., t, s)."""
    matrices = math.prod(scores.shape[:-2]), *scores.shape[-2:]
    out = kernels.causal_softmax(scores.reshape(matrices), first).reshape(scores.shape)
    return out, (lambda g: kernels.softmax_backward(g, out, -1),)
