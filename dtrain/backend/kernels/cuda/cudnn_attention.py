"""Attention by cuDNN, of halves, without a mask and without dropout, whose random numbers would be
cuDNN's own.

The functions return False where cuDNN has no engine; attention.py computes these cases.
"""

from __future__ import annotations

from typing import Any

from dtrain.backend import settings
from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.cudnn_plan import compute, is_enabled


def takes(q: Array, k: Array, v: Array, mask: Any, key: Any) -> bool:
    """Whether cuDNN may compute attention of these arrays: of rows of whole units of 8 elements."""
    if mask is not None or key is not None:
        return False
    is_known = q.dtype == k.dtype == v.dtype and q.dtype.char in "eE"
    has_units = q.shape[-1] % 8 == 0 and v.shape[-1] % 8 == 0
    return is_known and has_units and settings.attention_algorithms["cudnn"] and is_enabled()


def attention(
    q: Array, k: Array, v: Array, out: Array, log_sums: Array, scale: float, is_causal: bool
) -> bool:
    """softmax(q k^T scale) v, into `out`, and the logarithms of the softmax's sums."""
    outputs = out, log_sums.reshape(*log_sums.shape, 1)
    return compute(_define_attention, (q, k, v), outputs, float(scale), is_causal)


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, out: Array, log_sums: Array, gradients: list[Array],
    scale: float, is_causal: bool,
) -> bool:  # fmt: skip
    """The gradients of q, k and v, into `gradients`."""
    inputs = g, q, k, v, out, log_sums.reshape(*log_sums.shape, 1)
    return compute(_define_backward, inputs, gradients, float(scale), is_causal)


def _define_attention(graph: Any, q: Any, k: Any, v: Any, scale: float, is_causal: bool) -> list:
    seen = _seen_keys(is_causal)
    return graph.sdpa(q=q, k=k, v=v, attn_scale=scale, generate_stats=True, **seen)


def _define_backward(
    graph: Any, g: Any, q: Any, k: Any, v: Any, out: Any, log_sums: Any, scale: float,
    is_causal: bool,
) -> list:  # fmt: skip
    how = {"attn_scale": scale, "use_deterministic_algorithm": True, **_seen_keys(is_causal)}
    return graph.sdpa_backward(q=q, k=k, v=v, o=out, dO=g, stats=log_sums, **how)


def _seen_keys(is_causal: bool) -> dict[str, int]:
    """Query i sees the keys 0..i only: the band of the mask ends at its diagonal."""
    return {"diagonal_band_right_bound": 0} if is_causal else {}
