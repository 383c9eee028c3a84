"""Scaled dot-product attention, and multi-head attention with its projections, as functions."""

from __future__ import annotations

from collections.abc import Sequence

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module, default_generator, kernels
from dtrain.backend.tracing import current_tracer, tracers
from dtrain.functions import products
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.functions.joining import cat, repeat_interleave
from dtrain.functions.operands import to
from dtrain.functions.padding import pad
from dtrain.nn.functional.activations import softmax
from dtrain.nn.functional.dropout import dropout
from dtrain.nn.functional.linear import linear
from dtrain.primitives import indexing
from dtrain.primitives.attention import attention, causal_softmax

MINUS_INFINITY = float("-inf")
#: Queries that causal attention takes at a time on a CPU, where there are at least two blocks.
CAUSAL_BLOCK = 128


@autocasts
@in_float32(on_device=False)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q k^T * scale + mask) v (torch.nn.functional.scaled_dot_product_attention; Vaswani
    et al. 2017, equation 1).

    Shape: query (..., t, d), key (..., s, d) and value (..., s, e) to (..., t, e). A query whose
    keys are all masked gives zeros.

    Parameters
    ----------
    attn_mask : (..., t, s), added to the scores; or bool, True where a query attends to a key
    is_causal : query i attends to the keys 0..i only
    scale : 1 / sqrt(d) if None
    enable_gqa : each head of key and value, at dimension -3, serves several heads of query
        (Ainslie et al. 2023)
    """
    _check_operands(query, key, value, attn_mask, is_causal)
    arrays = query.array, key.array, value.array
    mask = None if attn_mask is None else attn_mask.array
    is_constant = attn_mask is None or not attn_mask.requires_grad
    if is_constant and kernels.computes_attention(*arrays, mask, enable_gqa):
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        draws = default_generator().draw_key() if dropout_p else None
        return attention(
            query, key, value, scale=scale, is_causal=is_causal, mask=mask, dropout=dropout_p,
            random_key=draws,
        )  # fmt: skip
    if enable_gqa:
        key, value = (_shared_heads(x, query) for x in (key, value))
    if is_causal and _has_causal_blocks(query):
        return _causal_attention(query, key, value, dropout_p, scale)
    if attn_mask is None:
        return _attention_with_weights(query, key, value, None, dropout_p, scale, is_causal)[0]
    hidden = ~attn_mask.array if attn_mask.dtype == bool else attn_mask.array == MINUS_INFINITY
    fully_masked = hidden.all(-1, keepdims=True)
    if attn_mask.dtype == bool:
        mask = _to_added_mask(hidden & ~fully_masked, query)
    else:
        mask = indexing.masked_fill(attn_mask, mask=fully_masked, value=0.0)
    out, _ = _attention_with_weights(query, key, value, mask, dropout_p, scale)
    # softmax of nothing but -inf would be NaN; of NaN it stays NaN
    return out * wrap((~fully_masked).astype(out.dtype))


def _to_added_mask(hidden: Array, query: Tensor) -> Tensor:
    """A mask to add to the scores of `query`: -inf where a key is hidden, else 0."""
    xp = array_module(hidden)
    return wrap(xp.where(hidden, MINUS_INFINITY, 0.0).astype(query.dtype))


def _attention_with_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout_p: float,
    scale: float | None,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """Returns weights @ value and the weights, softmax(scale * query @ key^T + mask)."""
    scores = products.matmul(_scaled(query, scale), key.transpose(-2, -1))
    if mask is not None:
        scores = scores + to(mask, scores.dtype)
    weights = dropout(causal_softmax(scores) if is_causal else softmax(scores, -1), dropout_p)
    return products.matmul(weights, value), weights


def _scaled(query: Tensor, scale: float | None) -> Tensor:
    return query * (query.shape[-1] ** -0.5 if scale is None and query.shape[-1] else scale or 0.0)


def _has_causal_blocks(query: Tensor) -> bool:
    """Whether `_causal_attention` takes these queries; exported graphs hold for other numbers."""
    kind = query.array.__class__  # of a recorded array, too
    if query.shape[-2] < 2 * CAUSAL_BLOCK or kind.__module__.startswith("cupy"):
        return False
    tracer = current_tracer() if tracers else None
    return tracer is None or not tracer.takes_other_sizes


def _causal_attention(
    query: Tensor, key: Tensor, value: Tensor, dropout_p: float, scale: float | None
) -> Tensor:
    """Causal attention of a block of queries at a time, with the keys that they see alone: half of
    the arithmetic and of the memory of all scores."""
    query, keys, parts = _scaled(query, scale), key.transpose(-2, -1), []
    for first in range(0, query.shape[-2], CAUSAL_BLOCK):
        block = query.narrow(-2, first, min(CAUSAL_BLOCK, query.shape[-2] - first))
        seen = min(first + block.shape[-2], key.shape[-2])
        scores = products.matmul(block, keys.narrow(-1, 0, seen))
        weights = dropout(causal_softmax(scores, first=first), dropout_p)
        parts.append(products.matmul(weights, value.narrow(-2, 0, seen)))
    return cat(parts, -2)


def _check_operands(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool
) -> None:
    name = "scaled_dot_product_attention"
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(
            f"{name}: expected query, key and value to have the same dtype, got {query.dtype}, "
            f"{key.dtype} and {value.dtype}; convert them with .to(dtype)"
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            f"{name}: expected query, key and value of at least 2 dimensions, got "
            f"{query.shape}, {key.shape} and {value.shape}"
        )
    if mask is not None and is_causal:
        raise RuntimeError(f"{name}: give attn_mask or is_causal=True, not both")
    if mask is not None and mask.dtype not in (bool, query.dtype):
        raise RuntimeError(
            f"{name}: expected attn_mask of dtype bool or {query.dtype}, as query, got {mask.dtype}"
        )


def _shared_heads(x: Tensor, query: Tensor) -> Tensor:
    """Repeat the heads of key or value to the number of heads of query."""
    if min(x.ndim, query.ndim) < 3 or query.shape[-3] % x.shape[-3]:
        raise RuntimeError(
            "scaled_dot_product_attention: enable_gqa needs a number of heads of query, at "
            f"dimension -3, that is a multiple of those of key and value, got shapes "
            f"{query.shape} and {x.shape}"
        )
    return repeat_interleave(x, query.shape[-3] // x.shape[-3], -3)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head attention with input and output projections
    (torch.nn.functional.multi_head_attention_forward; Vaswani et al. 2017, section 3.2.2).

    Shape: query (t, n, e), key and value (s, n, ...), with `batch_first` n comes first, or all
    without n. Returns the output, of query's shape, and with `need_weights` the attention weights:
    their mean over the heads (n, t, s), or with average_attn_weights=False (n, h, t, s).
    """
    batched = query.ndim == 3
    _check_heads(query, key, value, key_padding_mask, attn_mask, embed_dim_to_check, num_heads)
    if not batched:
        query, key, value = (x.unsqueeze(0) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        batch_first = True
    n = query.shape[0 if batch_first else 1]
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "multi_head_attention_forward: is_causal=True needs an attn_mask, "
            "such as Transformer.generate_square_subsequent_mask(length)"
        )
    is_causal = is_causal and key_padding_mask is None and not need_weights
    mask = None if is_causal else _merge_masks(attn_mask, key_padding_mask, query, n, num_heads)

    if use_separate_proj_weight:
        assert q_proj_weight is not None
        assert k_proj_weight is not None
        assert v_proj_weight is not None
        weights: Sequence[Tensor] = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    if bias_k is not None and bias_v is not None:
        shape = (n, 1, -1) if batch_first else (1, n, -1)
        k, v = (cat([x, b.expand(shape)], int(batch_first)) for x, b in ((k, bias_k), (v, bias_v)))

    def split_heads(x: Tensor, static: Tensor | None = None) -> Tensor:
        """Reshape (n, length, h * d) or (length, n, h * d) to (n, h, length, d)."""
        if static is not None:
            return static.reshape(n, num_heads, *static.shape[1:])
        by_head = x.reshape(*x.shape[:2], num_heads, x.shape[2] // num_heads)
        return by_head.permute((0, 2, 1, 3) if batch_first else (1, 2, 0, 3))

    q, k, v = split_heads(q), split_heads(k, static_k), split_heads(v, static_v)
    if add_zero_attn:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    if mask is not None:
        mask = pad(mask, (0, k.shape[-2] - mask.shape[-1]))
    dropout_p = dropout_p if training else 0.0
    attention = None
    if need_weights:
        out, attention = _attention_with_weights(q, k, v, mask, dropout_p, None)
        attention = attention.mean(1) if average_attn_weights else attention
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    out = out.permute((0, 2, 1, 3) if batch_first else (2, 0, 1, 3)).reshape(query.shape)
    out = linear(out, out_proj_weight, out_proj_bias)
    if batched:
        return out, attention
    return out.squeeze(0), None if attention is None else attention.squeeze(0)


def _merge_masks(
    attn_mask: Tensor | None, padding: Tensor | None, query: Tensor, n: int, num_heads: int
) -> Tensor | None:
    """Merge both masks to one floating mask that broadcasts to the scores (n, h, t, s)."""
    masks = []
    if attn_mask is not None:
        shape = (n, num_heads) if attn_mask.ndim == 3 else (1, 1)
        masks.append(attn_mask.reshape(*shape, *attn_mask.shape[-2:]))
    if padding is not None:
        masks.append(padding.reshape(n, 1, 1, padding.shape[-1]))
    added = [
        mask if mask.is_floating_point() else _to_added_mask(mask.array, query) for mask in masks
    ]
    return sum(added[1:], added[0]) if added else None


def _check_heads(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    padding: Tensor | None,
    mask: Tensor | None,
    embed_dim: int,
    num_heads: int,
) -> None:
    name, ndim = "multi_head_attention_forward", query.ndim

    def require(holds: bool, message: str) -> None:
        if not holds:
            raise AssertionError(f"{name}: {message}")

    require(ndim in (2, 3), f"expected query of 2 or 3 dimensions, got shape {query.shape}")
    require(
        key.ndim == value.ndim == ndim,
        f"expected key and value of {ndim} dimensions, as query, got {key.shape}, {value.shape}",
    )
    require(
        key.shape[:-1] == value.shape[:-1],
        f"expected key and value of one length and batch size, got {key.shape} and {value.shape}",
    )
    require(
        query.shape[-1] == embed_dim and embed_dim % num_heads == 0,
        f"expected query of embed_dim={embed_dim} features, a multiple of num_heads={num_heads}, "
        f"got shape {query.shape}",
    )
    for label, given, dims in (
        ("key_padding_mask", padding, (ndim - 1,)),
        ("attn_mask", mask, (2, 3)),
    ):
        if given is not None:
            require(given.ndim in dims, f"expected {label} of {dims} dimensions, got {given.shape}")
            require(
                given.dtype == bool or given.is_floating_point(),
                f"expected {label} of dtype bool or a floating one, got {given.dtype}",
            )
