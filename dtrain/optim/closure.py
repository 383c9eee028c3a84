"""The loss of a closure, over all ranks where its gradients are means over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd import Tensor, enable_grad
from dtrain.autograd.bucket_hooks import LossMean


def evaluate(by: str, closure: Callable[[], Any], params: Sequence[Tensor]) -> tuple[Any, float]:
    """Call a closure, which computes the gradients of `params`; returns its result and loss.

    Under DataParallel both are the mean over all ranks of the losses on which the closure called
    `backward`, so that every rank takes the same decisions; otherwise the loss is the result.

    Raises
    ------
    RuntimeError
        If the closure has not reduced all gradients.
    """
    mean = _find_mean(by, params)
    if mean is None:
        with enable_grad():
            result = closure()
        return result, float(result)
    mean.start()
    try:
        with enable_grad():
            result = closure()
        for bucket in {param._bucket: None for param in params if param._bucket is not None}:
            if bucket.before_step is not None:
                bucket.before_step()
    finally:
        loss = mean.stop()
    _require_reduced(by, params)
    if loss is None:
        raise RuntimeError(
            f"{by}: the closure has called backward() on no loss of its DataParallel model: it "
            "computes the loss of this rank's batch, calls loss.backward() and returns the loss"
        )
    return (result.new_tensor(loss) if isinstance(result, Tensor) else loss), loss


def _find_mean(by: str, params: Sequence[Tensor]) -> LossMean | None:
    buckets = {param._bucket: None for param in params if param._bucket is not None}
    means = list({b.loss_mean: None for b in buckets if b.loss_mean is not None})
    if len(means) > 1:
        raise ValueError(
            f"{by}: its parameters are in {len(means)} DataParallel models, and it needs one loss "
            "for all: wrap one module that has them all"
        )
    return means[0] if means else None


def _require_reduced(by: str, params: Sequence[Tensor]) -> None:
    own = [
        index
        for index, param in enumerate(params)
        if param._grad is not None and (param._bucket is None or param._bucket.loss_mean is None)
    ]
    if own:
        raise RuntimeError(
            f"{by}: the parameters {own} are not in the DataParallel model of the others: each "
            "rank would step along gradients of its own; wrap one module that has them all"
        )
