"""Linear layers, dropout, embedding and attention as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.nn.functional.activations import softmax
from dtrain.ops import index, matmul, random
from dtrain.ops.operators import products


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias. input: (..., n); weight: (m, n); bias: (m,)."""
    if input.shape[-1:] != weight.shape[1:]:
        raise RuntimeError(
            f"linear: expected an input of shape (..., {weight.shape[1]}), got {input.shape}"
        )
    products.same_dtype(input, weight)
    return matmul.linear(input, weight, bias)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p, scale the others by 1 / (1 - p); only in training."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: expected a probability between 0 and 1, got {p}")
    if not training or not p:
        return input
    return random.dropout(input, mask=random.dropout_mask(input._array, p))


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` by index; the row `padding_idx` gets no gradient."""
    return index.embedding(weight, index=input._array, padding_index=padding_idx)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q k^T * scale + mask) v (Vaswani et al. 2017, equation 1).

    query: (..., t, d); key, value: (..., s, d); attn_mask: (..., t, s), added, or bool: what to
    attend to. `scale` is 1 / sqrt(d) if None.
    """
    if attn_mask is not None and is_causal:
        raise RuntimeError("attention: give attn_mask or is_causal=True, not both")
    scores = products.matmul(
        query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-2, -1)
    )
    if is_causal:
        xp = array_module(scores._array)
        later = ~xp.tri(*scores.shape[-2:], dtype=bool)
        scores = index.masked_fill(scores, mask=later, value=float("-inf"))
    elif attn_mask is not None and attn_mask._array.dtype == bool:
        scores = index.masked_fill(scores, mask=~attn_mask._array, value=float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = softmax(scores, -1)
    return products.matmul(dropout(weights, dropout_p), value)
