"""Distances and similarities as layers."""

from __future__ import annotations

from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer


class CosineSimilarity(FunctionLayer, of=F.cosine_similarity):
    """The cosine of the angle between two tensors along `dim` (torch.nn.CosineSimilarity)."""

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__(dim=dim, eps=eps)

    def extra_repr(self) -> str:
        return ""


class PairwiseDistance(FunctionLayer, of=F.pairwise_distance):
    """The p-norm of a difference along the last dimension (torch.nn.PairwiseDistance).

    The layer calls p `norm`, as PyTorch's does.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__(eps=eps, keepdim=keepdim)
        self.norm = p

    def forward(self, *inputs, **named):
        return super().forward(*inputs, p=self.norm, **named)

    def extra_repr(self) -> str:
        return ""
