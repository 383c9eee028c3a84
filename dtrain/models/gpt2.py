"""GPT-2."""

from __future__ import annotations

import math
from typing import Any

from dtrain import nn
from dtrain.autograd import Tensor
from dtrain.functions.creation import arange, empty, zeros
from dtrain.models.weights import Weights, load_weights
from dtrain.nn import functional as F
from dtrain.nn.functional.linear import linear_activation


class Conv1D(nn.Module):
    """A linear layer with a weight (inputs, outputs), as in GPT-2's files."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, nf: int, nx: int):
        super().__init__()
        self.weight = nn.Parameter(empty(nx, nf))
        self.bias = nn.Parameter(zeros(nf))
        nn.init.normal_(self.weight, 0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.T, self.bias)

    def apply_with_gelu(self, x: Tensor) -> Tensor:
        """GELU, by tanh, of the layer's output, with the bias in its kernel."""
        if self._hooks is not None:
            return F.gelu(self(x), approximate="tanh")
        return linear_activation(x, self.weight.T, self.bias, "gelu_tanh")


class _Attention(nn.Module):
    def __init__(self, n_embd: int, n_head: int, dropout: float):
        super().__init__()
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = Conv1D(3 * n_embd, n_embd)
        self.c_proj = Conv1D(n_embd, n_embd)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        heads = self.c_attn(x).reshape(n, t, 3, self.n_head, width // self.n_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        p = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        return self.resid_dropout(self.c_proj(out.transpose(1, 2).reshape(n, t, width)))


class _MLP(nn.Module):
    def __init__(self, n_embd: int, dropout: float):
        super().__init__()
        self.c_fc = Conv1D(4 * n_embd, n_embd)
        self.c_proj = Conv1D(n_embd, 4 * n_embd)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.c_fc.apply_with_gelu(x)))


class _Block(nn.Module):
    def __init__(self, n_embd: int, n_head: int, dropout: float, eps: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd, eps=eps)
        self.attn = _Attention(n_embd, n_head, dropout)
        self.ln_2 = nn.LayerNorm(n_embd, eps=eps)
        self.mlp = _MLP(n_embd, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2Model(nn.Module):
    """GPT-2 without a head, Radford et al. 2019 (Hugging Face's GPT2Model).

    Shape: token ids (n, t) to (n, t, n_embd).
    """

    n_positions: int
    wte: nn.Embedding
    wpe: nn.Embedding
    drop: nn.Dropout
    h: nn.ModuleList
    ln_f: nn.LayerNorm

    def __init__(
        self,
        vocab_size: int = 50257,
        n_positions: int = 1024,
        n_embd: int = 768,
        n_layer: int = 12,
        n_head: int = 12,
        dropout: float = 0.1,
        layer_norm_epsilon: float = 1e-5,
    ):
        super().__init__()
        if n_embd % n_head:
            raise ValueError(f"GPT2Model: n_embd={n_embd} is not divisible by n_head={n_head}")
        self.n_positions = n_positions
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(n_positions, n_embd)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(
            [_Block(n_embd, n_head, dropout, layer_norm_epsilon) for _ in range(n_layer)]
        )
        self.ln_f = nn.LayerNorm(n_embd, eps=layer_norm_epsilon)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, 0, 0.02)
        for block in self.h:  # scaled by depth, as in the paper
            for projection in (block.attn.c_proj, block.mlp.c_proj):
                nn.init.normal_(projection.weight, 0, 0.02 / math.sqrt(2 * n_layer))

    def forward(self, input_ids: Tensor) -> Tensor:
        length = input_ids.shape[1]
        if length > self.n_positions:
            raise ValueError(f"GPT2Model: {length} tokens, but only {self.n_positions} positions")
        positions = arange(length, device=input_ids.device)
        x = self.drop(self.wte(input_ids) + self.wpe(positions))
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


class GPT2LMHeadModel(nn.Module):
    """GPT-2 with a language-modelling head (Hugging Face's GPT2LMHeadModel).

    Shape: token ids (n, t) to logits of the next token (n, t, vocab_size). The head shares the
    token embedding's weight.
    """

    transformer: GPT2Model
    lm_head: nn.Linear

    def __init__(self, **options: Any):
        super().__init__()
        self.transformer = GPT2Model(**options)
        vocab_size, n_embd = self.transformer.wte.weight.shape
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.lm_head(self.transformer(input_ids))


def gpt2(weights: Weights = None, **options: Any) -> GPT2LMHeadModel:
    """GPT-2, the small one by default, with weights from a file if one is given.

    The options are those of :class:`GPT2Model`.
    """
    return load_weights(GPT2LMHeadModel(**options), weights, _rename)


def _rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict of Hugging Face's, with or without a head, and drop its masks."""
    named = {
        name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}": value
        for name, value in state.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if "transformer.wte.weight" in named:
        named.setdefault("lm_head.weight", named["transformer.wte.weight"])
    return named
