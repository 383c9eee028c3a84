"""BERT's encoder."""

from __future__ import annotations

from typing import Any, NamedTuple

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.functions.creation import arange, zeros_like
from dtrain.models.weights import Weights, load_weights
from dtrain.nn import functional as F
from dtrain.nn.linear_activation import apply_linear


class _Embeddings(nn.Module):
    word_embeddings: nn.Embedding
    position_embeddings: nn.Embedding
    token_type_embeddings: nn.Embedding
    LayerNorm: nn.LayerNorm
    dropout: nn.Dropout

    def __init__(
        self, vocab_size: int, width: int, positions: int, types: int, eps: float, dropout: float
    ):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(positions, width)
        self.token_type_embeddings = nn.Embedding(types, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        positions = arange(input_ids.shape[1], device=input_ids.device)
        kinds = zeros_like(input_ids) if token_type_ids is None else token_type_ids
        x = self.word_embeddings(input_ids) + self.token_type_embeddings(kinds)
        return self.dropout(self.LayerNorm(x + self.position_embeddings(positions)))


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, t, width = x.shape

        def by_head(y: Tensor) -> Tensor:
            return y.reshape(n, t, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = by_head(self.query(x)), by_head(self.key(x)), by_head(self.value(x))
        p = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        return out.transpose(1, 2).reshape(n, t, width)


class _Output(nn.Module):
    """LayerNorm(residual + dropout(dense(x)))."""

    def __init__(self, inputs: int, width: int, eps: float, dropout: float):
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, eps: float, dropout: float):
        super().__init__()
        self.self = _SelfAttention(width, heads, dropout)
        self.output = _Output(width, width, eps, dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(self.self(x, mask), x)


class _Intermediate(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.dense = nn.Linear(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        return apply_linear(self.dense, F.gelu, x)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int, eps: float, dropout: float):
        super().__init__()
        self.attention = _Attention(width, heads, eps, dropout)
        self.intermediate = _Intermediate(width, inner)
        self.output = _Output(inner, width, eps, dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class _Encoder(nn.Module):
    layer: nn.ModuleList

    def __init__(self, layers: list[_Layer]):
        super().__init__()
        self.layer = nn.ModuleList(layers)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class _Pooler(nn.Module):
    dense: nn.Linear

    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x[:, 0]).tanh()


class BertOutput(NamedTuple):
    """last_hidden_state: (n, t, hidden_size); pooler_output: (n, hidden_size)."""

    last_hidden_state: Tensor
    pooler_output: Tensor


class BertModel(nn.Module):
    """BERT's encoder, Devlin et al. 2018 (Hugging Face's BertModel).

    Shape: token ids (n, t) to a BertOutput. The options are those of Hugging Face's config.json.
    """

    embeddings: _Embeddings
    encoder: _Encoder
    pooler: _Pooler

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        layer_norm_eps: float = 1e-12,
        hidden_dropout_prob: float = 0.1,
    ):
        super().__init__()
        if hidden_size % num_attention_heads:
            raise ValueError(
                f"BertModel: hidden_size={hidden_size} is not divisible by "
                f"num_attention_heads={num_attention_heads}"
            )
        eps, dropout = layer_norm_eps, hidden_dropout_prob
        self.embeddings = _Embeddings(
            vocab_size, hidden_size, max_position_embeddings, type_vocab_size, eps, dropout
        )
        self.encoder = _Encoder(
            [
                _Layer(hidden_size, num_attention_heads, intermediate_size, eps, dropout)
                for _ in range(num_hidden_layers)
            ]
        )
        self.pooler = _Pooler(hidden_size)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, 0, 0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> BertOutput:
        """Encode token ids (n, t); attention_mask (n, t) is 0 at padding."""
        mask = None if attention_mask is None else attention_mask.bool()[:, None, None, :]
        x = self.encoder(self.embeddings(input_ids, token_type_ids), mask)
        return BertOutput(x, self.pooler(x))


def bert(weights: Weights = None, **options: Any) -> BertModel:
    """BERT's encoder, the base one by default, with weights from a file if one is given.

    The options are those of :class:`BertModel`.
    """
    return load_weights(BertModel(**options), weights, _rename)


def _rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict of Hugging Face's, and drop its heads."""
    return {
        name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): value
        for name, value in state.items()
        if not name.startswith("cls.") and not name.endswith("embeddings.position_ids")
    }
