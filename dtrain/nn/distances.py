"""Distances and similarities of pairs of vectors as layers."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer


class CosineSimilarity(FunctionLayer, function=F.cosine_similarity):
    """x1 . x2 / (|x1| |x2|) along `dim`, each norm at least eps (torch.nn.CosineSimilarity).

    Shape: x1 and x2, broadcast together; the output lacks `dim`.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__(dim=dim, eps=eps)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return super().forward(x1, x2)

    def extra_repr(self) -> str:
        return ""


class PairwiseDistance(FunctionLayer, function=F.pairwise_distance):
    """|x1 - x2 + eps| by the p-norm over the last dimension (torch.nn.PairwiseDistance).

    Shape: x1, x2 (..., d) to (...), with `keepdim` (..., 1). The attribute for p is `norm`, as in
    PyTorch.
    """

    norm: float

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__(eps=eps, keepdim=keepdim)
        self.norm = p

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return super().forward(x1, x2, p=self.norm)

    def extra_repr(self) -> str:
        return ""
