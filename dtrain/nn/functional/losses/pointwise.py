"""Elementwise losses: regression, likelihoods and binary cross-entropy."""

from __future__ import annotations

import math
import warnings

import numpy as np

from dtrain.autograd import Tensor
from dtrain.functions import exponentials
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.functions.operands import promote_pair
from dtrain.nn.functional.activations import logsigmoid, require_floats
from dtrain.nn.functional.losses.reduction import check_reduction, reduce_losses, takes_size_average
from dtrain.primitives import losses as primitives


def _difference(name: str, input: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    if target.shape != input.shape:
        warnings.warn(
            f"{name}: the target's shape {target.shape} is not the input's shape {input.shape}; "
            "they are broadcast, which is rarely intended: reshape one of them",
            stacklevel=3,
        )
    if weight is not None and weight.shape != input.shape:
        raise ValueError(
            f"{name}: expected a weight of the input's shape {input.shape}, got {weight.shape}"
        )
    return input - target


def _add_up(
    kind: str, input: Tensor, target: Tensor, reduction: str, delta: float = 1.0, scale: float = 1.0
) -> Tensor | None:
    """The sum or mean of the losses of input - target in one pass over host arrays of one shape and
    dtype (`primitives.regression_loss`); None where there is none."""
    x, y = input.array, target.array
    if reduction not in ("mean", "sum") or x.dtype.char not in "fd":
        return None
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        return None
    if x.shape != y.shape or x.dtype != y.dtype:
        return None
    return primitives.regression_loss(
        input, target, kind=kind, delta=delta, scale=scale, mean=reduction == "mean"
    )


def _require_shape(name: str, input: Tensor, target: Tensor) -> None:
    if target.shape != input.shape:
        raise ValueError(
            f"{name}: expected a target of the input's shape {input.shape}, got {target.shape}"
        )


# --- regression ---


@takes_size_average
@autocasts
@in_float32
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)**2 (torch.nn.functional.mse_loss)."""
    if weight is None and (loss := _add_up("square", input, target, reduction)) is not None:
        return loss
    difference = _difference("mse_loss", input, target, weight)
    squares = difference.square()
    return reduce_losses(squares if weight is None else squares * weight, reduction, weight)


@takes_size_average
@autocasts
@in_float32
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target| (torch.nn.functional.l1_loss)."""
    if weight is None and (loss := _add_up("abs", input, target, reduction)) is not None:
        return loss
    sizes = _difference("l1_loss", input, target, weight).abs()
    return reduce_losses(sizes if weight is None else sizes * weight, reduction, weight)


@autocasts
@in_float32
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 if |d| < delta else delta * (|d| - delta / 2), d = input - target
    (torch.nn.functional.huber_loss; Huber 1964).
    """
    if not delta > 0:
        raise RuntimeError(f"huber_loss: expected delta > 0, got {delta}")
    if weight is None and (loss := _add_up("huber", input, target, reduction, delta)) is not None:
        return loss
    losses = primitives.huber(_difference("huber_loss", input, target, weight), delta=delta)
    return reduce_losses(losses if weight is None else losses * weight, reduction)


@takes_size_average
@autocasts
@in_float32
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """huber_loss with delta = beta, divided by beta; l1_loss if beta is 0
    (torch.nn.functional.smooth_l1_loss; Girshick 2015).
    """
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: expected beta >= 0, got {beta}")
    kind, scale = ("huber", 1 / beta) if beta else ("abs", 1.0)
    if (loss := _add_up(kind, input, target, reduction, beta, scale)) is not None:
        return loss
    difference = _difference("smooth_l1_loss", input, target)
    losses = primitives.huber(difference, delta=beta) if beta else difference.abs()
    return reduce_losses(losses if beta in (0, 1) else losses / beta, reduction)


@takes_size_average
@autocasts
@in_float32
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-log Poisson(target; rate), for input = log(rate) (torch.nn.functional.poisson_nll_loss).

    With log_input=False, input = rate. `full` adds Stirling's approximation of log(target!).
    """
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        losses = losses + stirling.masked_fill(target <= 1, 0)
    return reduce_losses(losses, reduction)


@in_float32
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log(var) + (input - target)**2 / var) / 2 (torch.nn.functional.gaussian_nll_loss).

    `var` has the input's shape, or one variance for its last dimension, and is raised to at least
    eps. `full` adds the constant log(2 pi) / 2 (Nix and Weigend 1994).
    """
    variance = var if isinstance(var, Tensor) else input.detach() * 0 + var
    if bool((variance < 0).any()):
        raise ValueError("gaussian_nll_loss: expected variances of at least 0")
    if variance.shape != input.shape:
        other = [n for n, size in zip(variance.shape, input.shape) if n != size]
        if variance.shape == input.shape[:-1]:
            variance = variance.unsqueeze(-1)
        elif variance.ndim != input.ndim or other != [1]:
            raise ValueError(
                f"gaussian_nll_loss: expected variances of shape {input.shape} or "
                f"{input.shape[:-1]}, got {variance.shape}"
            )
    # at least eps, but with the gradient of the variance as given
    variance = variance + (eps - variance).clamp(min=0).detach()
    losses = (variance.log() + (input - target) ** 2 / variance) * 0.5
    return reduce_losses(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


# --- probabilities ---


@takes_size_average
@autocasts
@in_float32
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), with logarithms of at least -100
    (torch.nn.functional.binary_cross_entropy).
    """
    check_reduction(reduction)
    _require_shape("binary_cross_entropy", input, target)
    require_floats("binary_cross_entropy", input)
    losses = primitives.binary_cross_entropy(input, target)
    return reduce_losses(losses if weight is None else losses * weight, reduction)


@takes_size_average
@autocasts
@in_float32
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without overflow
    (torch.nn.functional.binary_cross_entropy_with_logits).

    `pos_weight` multiplies the term of target 1.
    """
    _require_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        losses = primitives.binary_cross_entropy_with_logits(*promote_pair(input, target))
    else:
        losses = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)
    return reduce_losses(losses if weight is None else losses * weight, reduction)


@takes_size_average
@autocasts
@in_float32
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input): Kullback-Leibler divergence (torch.nn.functional.kl_div).

    input: log-probabilities; target: probabilities, with `log_target` log-probabilities. Only
    reduction "batchmean", the sum divided by the number of samples, gives the divergence.
    """
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction 'mean' divides by the number of elements; give 'batchmean', which "
            "divides by the number of samples, for the Kullback-Leibler divergence",
            stacklevel=2,
        )
    if log_target:
        losses = target.exp() * (target - input)
    else:
        losses = exponentials.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return losses.sum() / input.shape[0] if input.ndim else losses
    return reduce_losses(losses, reduction)
