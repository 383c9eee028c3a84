"""Losses that want a margin between scores or distances as functions."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import array_module
from dtrain.functions import indexing, limits
from dtrain.functions.comparison import eq, ne
from dtrain.nn.functional.activations import logsigmoid
from dtrain.nn.functional.distances import pairwise_distance
from dtrain.nn.functional.losses.pointwise import check_reduction, reduced
from dtrain.primitives import activations
from dtrain.primitives.scattering import check_indices

# --- of one score, and of two ---


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """input where the target is 1, max(0, margin - input) where -1.

    (torch.nn.functional.hinge_embedding_loss)
    """
    far = (margin - input).clamp(min=0)
    losses = _only(ne(target, 1), far) + _only(ne(target, -1), input)
    return reduced(losses, reduction)


def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(1 + exp(-target * input)), target: 1 or -1 (torch.nn.functional.soft_margin_loss)."""
    losses = activations.softplus(-target * input, beta=1.0, threshold=float("inf"))
    return reduced(losses, reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - target * (input1 - input2)) (torch.nn.functional.margin_ranking_loss)."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss: expected tensors of as many dimensions, got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


def _only(condition: Tensor, losses: Tensor) -> Tensor:
    return indexing.where(condition, losses, 0.0)


# --- of vectors ---


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where -1.

    input1, input2: (n, d) or (d,); target: (n,) or () (torch.nn.functional.cosine_embedding_loss).
    """
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            "cosine_embedding_loss: expected inputs (n, d) and a target (n,), or (d,) and (), got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    sizes = [(x * x).sum(-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (sizes[0] * sizes[1]).sqrt()
    near, far = 1 - cosine, (cosine - margin).clamp(min=0)
    losses = indexing.where(eq(target, 1), near, 0.0) + indexing.where(eq(target, -1), far, 0.0)
    return reduced(losses, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|), of p-norms.

    `swap`: of |positive - negative| where that is less (Balntas et al. 2016)
    (torch.nn.functional.triplet_margin_loss).
    """
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """triplet_margin_loss of any distance.

    (torch.nn.functional.triplet_margin_with_distance_loss)
    """
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: expected margin > 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "triplet_margin_loss: expected tensors of as many dimensions, got "
            f"{anchor.shape}, {positive.shape} and {negative.shape}"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = limits.minimum(far, distance(positive, negative))
    return reduced((margin + near - far).clamp(min=0), reduction)


# --- of the scores of classes ---


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of max(0, margin - score of the target + score)**p but the target's.

    input: (n, c) or (c,); target: (n,) or () (torch.nn.functional.multi_margin_loss).
    """
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: expected p = 1 or 2, got {p}")
    if not input.ndim:
        return multi_margin_loss(input.reshape(1), target, p, margin, weight, reduction)
    if input.ndim > 2 or not input.shape[-1]:
        raise RuntimeError(f"multi_margin_loss: expected (n, c) or (c,), got {input.shape}")
    classes = input.shape[-1]
    if target.numel() != input.numel() // classes or target.ndim > 1:
        raise RuntimeError(
            f"multi_margin_loss: expected a target for each row of {input.shape}, "
            f"got {target.shape}"
        )
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"multi_margin_loss: expected a weight (c,), got {weight.shape}")
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(f"multi_margin_loss: expected {classes} weights, got {weight.shape}")
    check_indices(target.array, classes, "multi_margin_loss: target")
    places = target.reshape(*input.shape[:-1], 1)
    missing = (margin - input.gather(-1, places) + input).clamp(min=0)
    others = array_module(target.array).arange(classes) != places.array
    losses = (missing if p == 1 else missing * missing) * wrap(others).to(input.dtype)
    if weight is not None:
        losses = losses * weight[places]
    return reduced(losses.sum(-1) / classes, reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The sum over labels, and classes that are none, of max(0, 1 - score of label + score) / c.

    input, target: (n, c) or (c,); the labels of a row stand before its first -1
    (torch.nn.functional.multilabel_margin_loss).
    """
    check_reduction(reduction)
    if input.ndim > 2 or target.shape != input.shape or 0 in input.shape[-1:]:
        raise RuntimeError(
            "multilabel_margin_loss: expected input and target of one shape (n, c) or (c,), got "
            f"{input.shape} and {target.shape}"
        )
    if not input.ndim:
        return multilabel_margin_loss(input.reshape(1), target.reshape(1), reduction)
    xp, classes = array_module(target.array), input.shape[-1]
    check_indices(target.array + 1, classes + 1, "multilabel_margin_loss: target + 1")
    counts = xp.cumsum(target.array < 0, -1) == 0
    labels = xp.where(counts, target.array, 0)
    is_label = ((labels[..., None] == xp.arange(classes)) & counts[..., None]).any(-2)
    pairs = counts[..., :, None] & ~is_label[..., None, :]
    missing = 1 - input.gather(-1, wrap(labels)).unsqueeze(-1) + input.unsqueeze(-2)
    losses = missing.clamp(min=0) * wrap(pairs).to(input.dtype)
    return reduced(losses.sum((-2, -1)) / classes, reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """binary_cross_entropy_with_logits, its mean over the classes, which are the last dimension.

    (torch.nn.functional.multilabel_soft_margin_loss)
    """
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    return reduced(losses.sum(-1) / input.shape[-1], reduction)
