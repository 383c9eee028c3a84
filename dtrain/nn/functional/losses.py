"""Losses as functions."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.nn.functional.activations import logsigmoid
from dtrain.ops import loss


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    _check_reduction(reduction)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def _check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"expected reduction 'none', 'mean' or 'sum', got {reduction!r}")


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(input - target)**2"""
    difference = input - target
    return _reduce(difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|input - target|"""
    return _reduce((input - target).abs(), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, reduction: str = "mean"
) -> Tensor:
    """-log of the probability that sigmoid(input) gives to target, without overflow."""
    return _reduce((1 - target) * input - logsigmoid(input), reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-input at the target class: of log-probabilities the negative log-likelihood.

    Shapes and errors are those of `cross_entropy`.
    """
    if input.ndim == 1:
        out = nll_loss(input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index, reduction)
        return out.squeeze(0) if reduction == "none" else out
    _check_classes("nll_loss", input, target, reduction)
    return loss.nll_loss(
        input,
        target=target._array,
        weight=None if weight is None else weight._array,
        ignore_index=ignore_index,
        reduction=reduction,
    )


def _check_classes(name: str, input: Tensor, target: Tensor, reduction: str) -> None:
    _check_reduction(reduction)
    expected = (input.shape[0], *input.shape[2:])
    if target.shape != expected:
        raise ValueError(
            f"{name}: expected a target of shape {expected} for input {input.shape}, "
            f"got {target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected integer targets, got {target.dtype}")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input) at the target class. input: (n, c, ...) or (c,); target: (n, ...) or ().

    Raises
    ------
    IndexError
        For a target that is no class, on the CPU.
    """
    if input.ndim == 1:
        out = cross_entropy(
            input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index, reduction,
            label_smoothing,
        )  # fmt: skip
        return out.squeeze(0) if reduction == "none" else out
    _check_classes("cross_entropy", input, target, reduction)
    return loss.cross_entropy(
        input,
        target=target._array,
        weight=None if weight is None else weight._array,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
