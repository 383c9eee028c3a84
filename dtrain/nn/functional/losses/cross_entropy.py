"""cross_entropy and nll_loss."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions import activations
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.nn.functional.losses.reduction import check_reduction, takes_size_average
from dtrain.primitives import losses


@takes_size_average
@autocasts
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[target], for log-probabilities `input` (torch.nn.functional.nll_loss).

    Shapes and errors are those of `cross_entropy`.
    """
    if input.ndim == 1:
        out = nll_loss(
            input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index=ignore_index,
            reduction=reduction,
        )  # fmt: skip
        return out.squeeze(0) if reduction == "none" else out
    _check_classes("nll_loss", input, target, weight, reduction)
    return losses.nll_loss(
        input,
        target=target.array,
        weight=None if weight is None else weight.array,
        ignore_index=ignore_index,
        reduction=reduction,
    )


@takes_size_average
@autocasts
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target] (torch.nn.functional.cross_entropy).

    Shape: input (n, c, ...) or (c,), target (n, ...) or (), class indices; or a target of the
    input's shape, class probabilities. weight: (c,).

    Raises
    ------
    IndexError
        If a target is not in [0, c) and not `ignore_index`; on the CPU only.
    """
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(
            f"cross_entropy: expected label_smoothing between 0 and 1, got {label_smoothing}"
        )
    if target.array.shape == input.array.shape:
        return _cross_entropy_of_probabilities(
            input, target, weight, ignore_index, reduction, label_smoothing
        )
    if input.ndim == 1:
        out = cross_entropy(
            input.unsqueeze(0), target.unsqueeze(0), weight, ignore_index=ignore_index,
            reduction=reduction, label_smoothing=label_smoothing,
        )  # fmt: skip
        return out.squeeze(0) if reduction == "none" else out
    _check_classes("cross_entropy", input, target, weight, reduction)
    how = {
        "target": target.array,
        "weight": None if weight is None else weight.array,
        "ignore_index": ignore_index,
        "reduction": reduction,
    }
    if label_smoothing:
        return losses.smoothed_cross_entropy(input, label_smoothing=label_smoothing, **how)
    return losses.cross_entropy(input, **how)


@in_float32
def _cross_entropy_of_probabilities(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    check_reduction(reduction)
    if not is_floating(target.dtype):
        raise RuntimeError(
            f"cross_entropy: expected floating probabilities in a target of the input's shape "
            f"{input.shape}, got {target.dtype}"
        )
    if ignore_index >= 0:
        raise RuntimeError(
            "cross_entropy: ignore_index is for class indices, not for probabilities"
        )
    dim = min(1, input.ndim - 1)
    classes = input.shape[dim]
    _check_weight("cross_entropy", classes, weight)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * weight.reshape(-1, *(1,) * (input.ndim - dim - 1))
    losses = -(activations.log_softmax(input, dim) * target).sum(dim)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


def _check_classes(
    name: str, input: Tensor, target: Tensor, weight: Tensor | None, reduction: str
) -> None:
    check_reduction(reduction)
    if not input.ndim:
        raise RuntimeError(f"{name}: expected an input with a dimension of classes, got a 0-d one")
    shape = input.array.shape
    expected = (shape[0], *shape[2:])
    if target.array.shape != expected:
        kind = ValueError if target.shape[:1] != input.shape[:1] else RuntimeError
        raise kind(
            f"{name}: expected a target of shape {expected} for input {input.shape}, "
            f"got {target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected integer targets, got {target.dtype}")
    _check_weight(name, shape[1], weight)


def _check_weight(name: str, classes: int, weight: Tensor | None) -> None:
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"{name}: expected a weight for each of {classes} classes, got {weight.shape}"
        )
