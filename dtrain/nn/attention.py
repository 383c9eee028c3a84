"""`MultiheadAttention`: multi-head attention between linear projections."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import empty
from dtrain.nn import functional as F, init
from dtrain.nn.attention_kernels import SDPBackend as SDPBackend, sdpa_kernel as sdpa_kernel
from dtrain.nn.layers import Linear
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear with the class name that PyTorch's `repr` shows."""


class MultiheadAttention(Module):
    """concat(head_1, ..., head_h) W_out, head_i = attention(q W_i^q, k W_i^k, v W_i^v)
    (torch.nn.MultiheadAttention; Vaswani et al. 2017, section 3.2.2).

    Shape: query (t, n, embed_dim), key (s, n, kdim), value (s, n, vdim); with `batch_first` n comes
    first; an unbatched input lacks n. Returns (output, weights): the output of the query's shape,
    and with `need_weights` the weights (n, t, s), averaged over heads, or without
    `average_attn_weights` (n, num_heads, t, s); else None.

    >>> import dtrain
    >>> attend = MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = dtrain.ones(3, 5, 8)
    >>> output, weights = attend(x, x, x)
    >>> output.shape, weights.shape
    (dtrain.Size([3, 5, 8]), dtrain.Size([3, 5, 5]))
    """

    embed_dim: int
    num_heads: int
    kdim: int
    vdim: int
    head_dim: int
    dropout: float
    batch_first: bool
    add_zero_attn: bool
    out_proj: NonDynamicallyQuantizableLinear
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "MultiheadAttention: embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads}"
            )
        if embed_dim % num_heads:
            raise AssertionError(
                f"MultiheadAttention: embed_dim={embed_dim} must be divisible by "
                f"num_heads={num_heads}"
            )
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim = embed_dim // num_heads
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn

        def new(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim
        widths = (embed_dim, self.kdim, self.vdim)
        for name, width in zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), widths):
            separate = None if self._qkv_same_embed_dim else new(embed_dim, width)
            self.register_parameter(name, separate)
        packed = new(3 * embed_dim, embed_dim) if self._qkv_same_embed_dim else None
        self.register_parameter("in_proj_weight", packed)
        self.register_parameter("in_proj_bias", new(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(
            embed_dim, embed_dim, bias=bias, device=device, dtype=dtype
        )
        self.bias_k = new(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = new(1, 1, embed_dim) if add_bias_kv else None
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name, param in self.named_parameters(recurse=False):
            if name.endswith("proj_weight"):
                init.xavier_uniform_(param)
            elif name == "in_proj_bias":
                init.zeros_(param)
                init.zeros_(self.out_proj.bias)
            else:
                init.xavier_normal_(param)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        return F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight,
            self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, training=self.training,
            key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight, k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight, average_attn_weights=average_attn_weights,
            is_causal=is_causal, batch_first=self.batch_first,
        )  # fmt: skip
