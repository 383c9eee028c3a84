"""Margin losses: hinge, ranking, cosine, triplet and multi-class margins."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import array_module
from dtrain.functions import indexing, limits
from dtrain.functions.autocast import autocasts
from dtrain.functions.comparison import eq, ne
from dtrain.functions.half_precision import in_float32
from dtrain.nn.functional.activations import logsigmoid
from dtrain.nn.functional.distances import pairwise_distance
from dtrain.nn.functional.losses.reduction import (
    check_reduction,
    reduce_losses,
    takes_size_average,
)
from dtrain.primitives import activations
from dtrain.primitives.scattering import check_indices

# --- scores ---


@takes_size_average
@autocasts
@in_float32
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where the target is 1, max(0, margin - input) where it is -1
    (torch.nn.functional.hinge_embedding_loss).
    """
    far = (margin - input).clamp(min=0)
    losses = _only(ne(target, 1), far) + _only(ne(target, -1), input)
    return reduce_losses(losses, reduction)


@takes_size_average
@autocasts
@in_float32
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)), target: 1 or -1 (torch.nn.functional.soft_margin_loss)."""
    losses = activations.softplus(-target * input, beta=1.0, threshold=float("inf"))
    return reduce_losses(losses, reduction)


@takes_size_average
@autocasts
@in_float32
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2)) (torch.nn.functional.margin_ranking_loss)."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss: expected tensors of the same number of dimensions, got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    return reduce_losses((margin - target * (input1 - input2)).clamp(min=0), reduction)


def _only(condition: Tensor, losses: Tensor) -> Tensor:
    return indexing.where(condition, losses, 0.0)


# --- vectors ---


@takes_size_average
@autocasts
@in_float32
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(input1, input2) where the target is 1, max(0, cos(input1, input2) - margin) where it
    is -1 (torch.nn.functional.cosine_embedding_loss).

    Shape: input1 and input2 (n, d) or (d,), target (n,) or ().
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
    return reduce_losses(losses, reduction)


@takes_size_average
@autocasts
@in_float32
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|), with p-norms
    (torch.nn.functional.triplet_margin_loss).

    Shape: (n, d) or (d,) each. With `swap`, |positive - negative| replaces |anchor - negative|
    where it is smaller (Balntas et al. 2016).
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


@in_float32
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
    """triplet_margin_loss with another distance than the p-norm
    (torch.nn.functional.triplet_margin_with_distance_loss).
    """
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: expected margin > 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "triplet_margin_loss: expected tensors of the same number of dimensions, got "
            f"{anchor.shape}, {positive.shape} and {negative.shape}"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = limits.minimum(far, distance(positive, negative))
    return reduce_losses((margin + near - far).clamp(min=0), reduction)


# --- classes ---


@takes_size_average
@autocasts
@in_float32
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over classes i != target of max(0, margin - input[target] + input[i])^p / c
    (torch.nn.functional.multi_margin_loss).

    Shape: input (n, c) or (c,), target (n,) or ().
    """
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: expected p = 1 or 2, got {p}")
    if not input.ndim:
        return multi_margin_loss(input.reshape(1), target, p, margin, weight, reduction=reduction)
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
    index = target.reshape(*input.shape[:-1], 1)
    violation = margin - input.gather(-1, index) + input
    violation = _only(violation > 0, violation)  # of NaN none, as in PyTorch
    others = array_module(target.array).arange(classes) != index.array
    losses = (violation if p == 1 else violation * violation) * wrap(others).to(input.dtype)
    if weight is not None:
        losses = losses * weight[index]
    return reduce_losses(losses.sum(-1) / classes, reduction)


@takes_size_average
@autocasts
@in_float32
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over labels j and all classes i that are no label of max(0, 1 - input[j] + input[i]) / c
    (torch.nn.functional.multilabel_margin_loss).

    Shape: input and target (n, c) or (c,); a row of target holds its labels before the first -1.
    """
    check_reduction(reduction)
    if input.ndim > 2 or target.shape != input.shape or 0 in input.shape[-1:]:
        raise RuntimeError(
            "multilabel_margin_loss: expected input and target of one shape (n, c) or (c,), got "
            f"{input.shape} and {target.shape}"
        )
    if not input.ndim:
        return multilabel_margin_loss(input.reshape(1), target.reshape(1), reduction=reduction)
    xp, classes = array_module(target.array), input.shape[-1]
    check_indices(target.array + 1, classes + 1, "multilabel_margin_loss: target + 1")
    counts = xp.cumsum(target.array < 0, -1) == 0
    labels = xp.where(counts, target.array, 0)
    is_label = ((labels[..., None] == xp.arange(classes)) & counts[..., None]).any(-2)
    pairs = counts[..., :, None] & ~is_label[..., None, :]
    violation = 1 - input.gather(-1, wrap(labels)).unsqueeze(-1) + input.unsqueeze(-2)
    losses = _only(violation > 0, violation) * wrap(pairs).to(input.dtype)
    return reduce_losses(losses.sum((-2, -1)) / classes, reduction)


@takes_size_average
@in_float32
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """binary_cross_entropy_with_logits averaged over the classes, the last dimension
    (torch.nn.functional.multilabel_soft_margin_loss).
    """
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    return reduce_losses(losses.sum(-1) / input.shape[-1], reduction)
