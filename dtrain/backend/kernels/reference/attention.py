"""Attention of heads, q: (n, heads, t, d), k: (n, heads, s, d), v: (n, heads, s, e).

Each head of k and v may serve several of q. mask: bool, True where a query sees a key, or added to
the scores; it broadcasts to them, (n, heads, t, s). dropout: of the weights; key: what
`Generator.draw_key` gave for its random numbers.
"""

from __future__ import annotations

import math

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.random import RandomKey, dropout_factors_of_key


def attention(
    q: Array, k: Array, v: Array, scale: float, is_causal: bool, mask: Array | None = None,
    dropout: float = 0.0, key: RandomKey | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """softmax(q k^T scale + mask) v, zeros for a query that sees no key; causal: query i sees the
    keys 0..i only. Returns the output, (n, heads, t, e), and the logarithms of the softmax's sums,
    (n, heads, t), infinity for such a query."""
    scores = _scores(q, k, scale, is_causal, mask)
    xp = array_module(scores)
    top = scores.max(-1, keepdims=True)
    top = xp.where(top == -math.inf, 0, top)
    weights = xp.exp(scores - top)
    total = weights.sum(-1, keepdims=True)
    is_blind = total == 0
    total = xp.where(is_blind, 1, total)
    log_sums = xp.where(is_blind, math.inf, top + xp.log(total))
    weights = weights / total
    if key is not None:
        weights = weights * dropout_factors_of_key(scores, dropout, key)
    out = _group(weights, k) @ v[:, :, None]
    return out.reshape(*q.shape[:3], v.shape[3]), log_sums[..., 0]


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, out: Array, log_sums: Array, scale: float,
    is_causal: bool, mask: Array | None = None, dropout: float = 0.0, key: RandomKey | None = None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of q, k and v."""
    scores = _scores(q, k, scale, is_causal, mask)
    weights = array_module(q).exp(scores - log_sums[..., None])
    of_weights = (_group(g, k) @ v[:, :, None].swapaxes(-1, -2)).reshape(scores.shape)
    dropped = weights
    if key is not None:
        kept = dropout_factors_of_key(scores, dropout, key)
        of_weights, dropped = of_weights * kept, weights * kept
    along = (g * out).sum(-1, keepdims=True)
    of_scores = _group(weights * (of_weights - along) * scale, k)
    of_q = (of_scores @ k[:, :, None]).reshape(q.shape)
    of_k = (of_scores.swapaxes(-1, -2) @ _group(q, k)).sum(2)
    return of_q, of_k, (_group(dropped, k).swapaxes(-1, -2) @ _group(g, k)).sum(2)


def causal_softmax(scores: Array, first: int = 0) -> Array:
    """softmax over the keys that a query sees, 0 for the others; query i sees the keys
    0..first + i. scores: (n, t, s)."""
    if not scores.size:
        return scores
    xp = array_module(scores)
    hidden = scores.dtype.type(-xp.inf)
    seen = xp.where(xp.tri(*scores.shape[1:], first, dtype=bool), scores, hidden)
    weights = xp.exp(seen - seen.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _scores(q: Array, k: Array, scale: float, is_causal: bool, mask: Array | None) -> Array:
    """q k^T scale + mask, (n, heads, t, s), -inf where a query does not see a key."""
    xp = array_module(q)
    scores = _group(q, k) @ k[:, :, None].swapaxes(-1, -2) * scale
    scores = scores.reshape(*q.shape[:3], k.shape[2])
    if is_causal:
        scores = xp.where(xp.tri(*scores.shape[-2:], dtype=bool), scores, -math.inf)
    if mask is not None:  # is added, so that NaN stays NaN
        zero = q.dtype.type(0)
        scores = scores + (xp.where(mask, zero, -math.inf) if mask.dtype == bool else mask)
    return scores


def _group(x: Array, k: Array) -> Array:
    """(n, heads, t, ...) as (n, heads of k, heads that share one, t, ...)."""
    return x.reshape(x.shape[0], k.shape[1], -1, *x.shape[2:])
