"""Linear layers and embedding as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.ops import index, matmul
from dtrain.ops.operators import products


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias. input: (..., n); weight: (m, n); bias: (m,)."""
    if input.shape[-1:] != weight.shape[1:]:
        raise RuntimeError(
            f"linear: expected an input of shape (..., {weight.shape[1]}), got {input.shape}"
        )
    products.same_dtype(input, weight)
    return matmul.linear(input, weight, bias)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` by index; the row `padding_idx` gets no gradient."""
    return index.embedding(weight, index=input._array, padding_index=padding_idx)
