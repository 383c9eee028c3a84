"""Attention in tiles: memory linear in the length of the sequences."""

from __future__ import annotations

import numpy as np

from dtrain.backend.array_module import Array, where
from dtrain.backend.kernels.cuda.compiler import for_each_block, real_dtype
from dtrain.backend.kernels.cuda.softmax import softmax

_WIDTH = 64  # attention.cu has the same number


def takes_heads(d: int, e: int) -> bool:
    """Whether the kernels take queries and keys d wide, and values e wide."""
    return 0 < d <= _WIDTH and 0 < e <= _WIDTH


def attention(
    q: Array, k: Array, v: Array, scale: float, is_causal: bool
) -> tuple[Array, Array]:  # fmt: skip
    """softmax(q k^T scale) v, and the logarithms of the softmax's sums."""
    import cupy

    (n, heads, t, _), e = q.shape, v.shape[-1]
    q, k, v = (_with_rows(x) for x in (q, k, v))
    out = cupy.empty((n, t, heads, e), q.dtype).transpose(0, 2, 1, 3)  # where layers join the heads
    log_sums = cupy.empty((n, heads, t), real_dtype(q.dtype))
    arrays = q, k, v, out
    _launch("attention", t, (*arrays, log_sums), arrays, q, v, k.shape[2], scale, is_causal)
    return out, log_sums


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, out: Array, log_sums: Array, scale: float,
    is_causal: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The gradients of q, k and v; parts of one array if they have one shape, as their values have
    after a common projection."""
    import cupy

    g, q, k, v, out = (_with_rows(x) for x in (g, q, k, v, out))
    of_q, of_k, of_v = _empty_gradients(q, k, v)
    alongs = cupy.empty_like(log_sums)
    lengths = q.shape[2], k.shape[2]
    numbers = q, v, k.shape[2], scale, is_causal
    viewed = g, q, k, v, out, of_q
    _launch(
        "attention_of_queries", lengths[0], (*viewed[:5], log_sums, alongs, of_q), viewed, *numbers
    )
    viewed = g, q, k, v, of_k, of_v
    _launch(
        "attention_of_keys",
        lengths[1],
        (*viewed[:4], log_sums, alongs, of_k, of_v),
        viewed,
        *numbers,
    )
    return of_q, of_k, of_v


def _empty_gradients(q: Array, k: Array, v: Array) -> list[Array]:
    """Memory for the gradients, in which the heads of a position lie side by side."""
    import cupy

    if q.shape == k.shape == v.shape:
        n, heads, t, d = q.shape
        parts = cupy.empty((n, t, 3, heads, d), q.dtype)
        return [parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]
    shapes = [(x.shape[0], x.shape[2], x.shape[1], x.shape[3]) for x in (q, k, v)]
    return [cupy.empty(shape, q.dtype).transpose(0, 2, 1, 3) for shape in shapes]


def _with_rows(x: Array) -> Array:
    """The array itself if the elements of its rows are neighbours, else a copy."""
    import cupy

    return x if x.strides[-1] == x.itemsize or x.shape[-1] == 1 else cupy.ascontiguousarray(x)


def _launch(
    name: str, length: int, arrays: tuple, viewed: tuple, q: Array, v: Array, s: int, scale: float,
    is_causal: bool,
) -> None:  # fmt: skip
    """Launch a kernel with a block for each tile of `length` queries or keys of each head."""
    n, heads, t, d = q.shape
    steps = [step // x.itemsize for x in viewed for step in x.strides[:3]]
    tile = 16 if q.dtype.char == "d" else 32
    count = n * heads * -(-length // tile)
    numbers = float(scale), bool(is_causal), heads, t, s, d, v.shape[-1]
    for_each_block("attention", name, count, *arrays, *steps, *numbers)


def causal_softmax(scores: Array) -> Array:
    """softmax over the keys 0..i for query i, 0 for the others."""
    import cupy

    seen = cupy.tri(*scores.shape[1:], dtype=bool)
    zero, hidden = scores.dtype.type(0), scores.dtype.type(-np.inf)
    return softmax(scores + where(seen, zero, hidden), -1)
