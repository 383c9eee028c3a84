"""Distances, similarities and normalized vectors as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.functions import joining, limits, reductions
from dtrain.functions.autocast import autocasts
from dtrain.functions.binding import write_out
from dtrain.functions.half_precision import in_float32


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(|x|, eps), by the p-norm along `dim` (torch.nn.functional.normalize)."""
    result = _normalize(input, p, dim, eps)
    return result if out is None else write_out("normalize", out, result)


@in_float32
def _normalize(input: Tensor, p: float, dim: int, eps: float) -> Tensor:
    return input / limits.clamp_min(reductions.norm(input, p, dim, keepdim=True), eps)


@autocasts
@in_float32
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (|x1| |x2|) along `dim`, each norm at least eps; x1 and x2 are broadcast together
    (torch.nn.functional.cosine_similarity).
    """
    x1, x2 = joining.broadcast_tensors(x1, x2)
    return (normalize(x1, 2, dim, eps) * normalize(x2, 2, dim, eps)).sum(dim)


@in_float32
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps: (..., d) to (...), with `keepdim` (..., 1)
    (torch.nn.functional.pairwise_distance).
    """
    return reductions.norm(x1 - x2 + eps, p, -1, keepdim)
