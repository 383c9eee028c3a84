"""Distances, similarities and normalized vectors as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.functions import joining, limits, reductions
from dtrain.functions.binding import write_out


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(|x|_p, eps) along `dim` (torch.nn.functional.normalize)."""
    size = limits.clamp_min(reductions.norm(input, p, dim, keepdim=True), eps)
    result = input / size
    return result if out is None else write_out("normalize", out, result)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between x1 and x2 (torch.nn.functional.cosine_similarity)."""
    x1, x2 = joining.broadcast_tensors(x1, x2)
    return (normalize(x1, 2, dim, eps) * normalize(x2, 2, dim, eps)).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension.

    (torch.nn.functional.pairwise_distance)
    """
    return reductions.norm(x1 - x2 + eps, p, -1, keepdim)
