"""The rows of the table for attention: references written out from the formulas."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case, log_softmax


def attention(q, k, v, mask=0.0, scale=None):
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale) + mask
    return np.exp(log_softmax(scores, -1)) @ v


SEEN = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]], bool)
HIDDEN = np.where(SEEN, 0, -np.inf)
NOT_THE_SECOND = SEEN & np.array([[True], [False], [True]])
QKV = [(2, 3, 5), (2, 4, 5), (2, 4, 6)]


def row(label, sample, reference, *given, **options):
    """A row for scaled_dot_product_attention; `given` are arrays that are no inputs."""
    return Case(
        "F.scaled_dot_product_attention",
        [sample],
        reference,
        lambda t, *xs: t.nn.functional.scaled_dot_product_attention(
            *xs, *(t.tensor(array, dtype=None if array.dtype == bool else xs[0].dtype) for array in given), **options
        ),
        label,
    )  # fmt: skip


def blind(q, k, v):
    """The second query attends to nothing."""
    return attention(q, k, v, HIDDEN) * [[1], [0], [1]]


def grouped(q, k, v):
    return attention(q, np.repeat(k, 2, 1), np.repeat(v, 2, 1))


# --- several heads ---

E, H = 4, 2
SELF = [(3, 2, E), (3 * E, E), (3 * E,), (E, E), (E,)]
BIASED = [(3, 2, E), (2, 2, E), (3 * E, E), (3 * E,), (1, 1, E), (1, 1, E), (E, E), (E,)]
SEPARATE = [(3, E), (2, 3), (2, 5), (E, E), (E, 3), (E, 5), (E, E)]
CAUSAL = np.triu(np.full((3, 3), -np.inf), 1)
PADDING = np.array([[False, False, True], [False, False, False]])


def split(x):
    """(t, n, e) as (n, h, t, d)"""
    return x.reshape(*x.shape[:2], H, -1).transpose(1, 2, 0, 3)


def several(q, k, v, out, mask=0.0):
    """Projected q, k, v: (t, n, e); the output projection; returns the output and the weights."""
    q, k, v = map(split, (q, k, v))
    weights = attention(q, k, np.eye(k.shape[2]), mask)
    joined = (weights @ v).transpose(2, 0, 1, 3).reshape(q.shape[2], q.shape[0], -1)
    return joined @ out[0].T + (out[1] if len(out) > 1 else 0), weights


def projected(xs, weight, bias=None):
    biases = (0, 0, 0) if bias is None else np.split(bias, 3)
    return [x @ w.T + b for x, w, b in zip(xs, np.split(weight, 3), biases)]


def self_attention(x, weight, bias, *out, mask=0.0):
    return several(*projected((x, x, x), weight, bias), out, mask)


def biased(x, memory, weight, bias, bias_k, bias_v, *out):
    """One more key and value that are learned, and one that is zero."""
    q, k, v = projected((x, memory, memory), weight, bias)
    k, v = (
        np.concatenate([a, np.repeat(b, 2, 1), np.zeros((1, 2, E))])
        for a, b in ((k, bias_k), (v, bias_v))
    )
    return several(q, k, v, out)


def of_heads(t, query, key, value, weight, bias, bias_k, bias_v, zero, *out, **options):
    return t.nn.functional.multi_head_attention_forward(
        query, key, value, E, H, weight, bias, bias_k, bias_v, zero, 0.0, *out, **options
    )


ATTENTION = [
    row("", QKV, attention),
    row("scale", QKV, lambda q, k, v: attention(q, k, v, scale=0.3), scale=0.3),
    row(
        "causal",
        QKV,
        lambda q, k, v: attention(q, k, v, np.where(np.tri(3, 4), 0, -np.inf)),
        is_causal=True,
    ),
    row("bool mask", QKV, lambda q, k, v: attention(q, k, v, HIDDEN), SEEN),
    row("added mask", [*QKV, (3, 4)], attention),
    row("mask of a batch", [*QKV, (2, 1, 4)], attention),
    row("nothing to see", QKV, blind, NOT_THE_SECOND),
    row("added mask, nothing to see", QKV, blind, np.where(NOT_THE_SECOND, 0, -np.inf)),
    row("grouped queries", [(2, 4, 3, 5), (2, 2, 4, 5), (2, 2, 4, 6)], grouped, enable_gqa=True),
    Case(
        "F.multi_head_attention_forward",
        [SELF],
        lambda *xs: (lambda out, weights: (out, weights.mean(1)))(*self_attention(*xs)),
        lambda t, x, w, b, *out: of_heads(t, x, x, x, w, b, None, None, False, *out),
    ),
    Case(
        "F.multi_head_attention_forward",
        [SELF],
        lambda *xs: self_attention(*xs, mask=CAUSAL + np.where(PADDING, -np.inf, 0)[:, None, None]),
        lambda t, x, w, b, *out: of_heads(
            t, x, x, x, w, b, None, None, False, *out, attn_mask=t.tensor(CAUSAL < 0),
            key_padding_mask=t.tensor(PADDING), average_attn_weights=False,
        ),
        "masks",
    ),
    Case(
        "F.multi_head_attention_forward",
        [SELF],
        lambda *xs: self_attention(*xs, mask=CAUSAL)[0],
        lambda t, x, w, b, *out: of_heads(
            t, x, x, x, w, b, None, None, False, *out, attn_mask=t.tensor(CAUSAL),
            is_causal=True, need_weights=False,
        )[0],
        "causal",
    ),
    Case(
        "F.multi_head_attention_forward",
        [BIASED],
        lambda *xs: biased(*xs)[0],
        lambda t, x, y, w, b, bk, bv, *out: of_heads(t, x, y, y, w, b, bk, bv, True, *out)[0],
        "learned and zero keys",
    ),
    Case(
        "F.multi_head_attention_forward",
        [SEPARATE],
        lambda q, k, v, wq, wk, wv, w: several(
            *((x @ y.T)[:, None] for x, y in ((q, wq), (k, wk), (v, wv))), [w]
        )[0][:, 0],
        lambda t, q, k, v, wq, wk, wv, w: of_heads(
            t, q, k, v, None, None, None, None, False, w, None, use_separate_proj_weight=True,
            q_proj_weight=wq, k_proj_weight=wk, v_proj_weight=wv, need_weights=False,
        )[0],
        "separate projections",
    ),
]  # fmt: skip
