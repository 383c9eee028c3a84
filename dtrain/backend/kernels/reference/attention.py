"""Attention of heads, q: (n, heads, t, d), k: (n, heads, s, d), v: (n, heads, s, e)."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def attention(
    q: Array, k: Array, v: Array, scale: float, is_causal: bool
) -> tuple[Array, Array]:  # fmt: skip
    """softmax(q k^T scale) v; causal: query i sees the keys 0..i only. Returns the output,
    (n, heads, t, e), and the logarithms of the softmax's sums, (n, heads, t)."""
    scores = _scores(q, k, scale, is_causal)
    xp = array_module(scores)
    top = scores.max(-1, keepdims=True)
    weights = xp.exp(scores - top)
    total = weights.sum(-1, keepdims=True)
    return weights / total @ v, (top + xp.log(total))[..., 0]


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, out: Array, log_sums: Array, scale: float,
    is_causal: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of q, k and v."""
    weights = array_module(q).exp(_scores(q, k, scale, is_causal) - log_sums[..., None])
    along = (g * out).sum(-1, keepdims=True)
    of_scores = weights * (g @ v.swapaxes(-1, -2) - along) * scale
    of_k = of_scores.swapaxes(-1, -2) @ q
    return of_scores @ k, of_k, weights.swapaxes(-1, -2) @ g


def causal_softmax(scores: Array) -> Array:
    """softmax over the keys that a query sees, 0 for the others; query i sees the keys 0..i.
    scores: (n, t, s)."""
    if not scores.size:
        return scores
    xp = array_module(scores)
    hidden = scores.dtype.type(-xp.inf)
    seen = xp.where(xp.tri(*scores.shape[1:], dtype=bool), scores, hidden)
    weights = xp.exp(seen - seen.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _scores(q: Array, k: Array, scale: float, is_causal: bool) -> Array:
    """q k^T scale, -inf where a query does not see a key."""
    xp = array_module(q)
    scores = q @ k.swapaxes(-1, -2) * scale
    if is_causal:
        scores = xp.where(xp.tri(*scores.shape[-2:], dtype=bool), scores, -xp.inf)
    return scores
