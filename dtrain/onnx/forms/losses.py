"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.arithmetic import log1p
from dtrain.onnx.forms.reductions import reduce
from dtrain.onnx.forms.table import Form


def _reduced(b: Builder, losses: Wire, scale: Wire, reduction: str) -> Wire:
    if reduction == "none":
        return losses
    total = reduce(b, "ReduceSum", losses, None)
    return total if reduction == "sum" else b.Div(total, reduce(b, "ReduceSum", scale, None))


def _of_targets(
    b: Builder, x: Wire, target: Any, weight: Any, ignore_index: int
) -> tuple[Wire, Wire, Wire]:
    """-x at the target class, the weight of each target, and whether it counts."""
    target = b.cast(b.wire(target), np.int64)
    kept = b.Not(b.Equal(target, b.wire(ignore_index, np.int64)))
    picked = b.where(kept, target, 0, np.int64)
    losses = b.Neg(b.squeeze(b.GatherElements(x, b.unsqueeze(picked, 1), axis=1), 1))
    scale = b.cast(kept, x.dtype)
    if weight is not None:
        scale = b.Mul(scale, b.Gather(b.wire(weight), picked))
    return b.where(kept, b.Mul(losses, scale), 0, x.dtype), scale, kept


def nll_loss(
    b: Builder, x: Wire, *, target: Any, weight: Any, ignore_index: int, reduction: str
) -> Wire:
    """-x at the target class, over axis 1."""
    losses, scale, _ = _of_targets(b, x, target, weight, ignore_index)
    return _reduced(b, losses, scale, reduction)


def cross_entropy(
    b: Builder, x: Wire, *, target: Any, weight: Any, ignore_index: int, reduction: str,
    label_smoothing: float = 0.0,
) -> Wire:  # fmt: skip
    """-log softmax(x) at the target class, over axis 1; smoothed by the mean over all classes."""
    logs = b.LogSoftmax(x, axis=1)
    losses, scale, kept = _of_targets(b, logs, target, weight, ignore_index)
    if label_smoothing:
        weighted = logs
        if weight is not None:
            weighted = b.Mul(logs, b.reshape(b.wire(weight), [-1] + [1] * (x.ndim - 2)))
        smooth = b.where(kept, b.Neg(reduce(b, "ReduceSum", weighted, 1)), 0, x.dtype)
        spread = b.Div(smooth, b.cast(b.wire(x.shape[1], np.int64), x.dtype))
        losses = b.Add(b.Mul(losses, 1 - label_smoothing), b.Mul(spread, label_smoothing))
    return _reduced(b, losses, scale, reduction)


def huber(b: Builder, x: Wire, *, delta: float) -> Wire:
    """x^2 / 2 where |x| < delta, delta (|x| - delta / 2) elsewhere."""
    size = b.Abs(x)
    far = b.Mul(b.Sub(size, delta / 2), delta)
    return b.where(b.Less(size, b.wire(delta, x.dtype)), b.Mul(b.Mul(x, x), 0.5), far)


def regression_loss(
    b: Builder, x: Wire, target: Any, *, kind: str, delta: float, scale: float, mean: bool
) -> Wire:
    """scale times the sum, or the mean, of the losses of x - target."""
    d = b.Sub(*b.promoted(x, target))
    if kind == "square":
        losses = b.Mul(d, d)
    else:
        losses = b.Abs(d) if kind == "abs" else huber(b, d, delta=delta)
    return b.Mul(reduce(b, "ReduceMean" if mean else "ReduceSum", losses, None), scale)


def bce_with_logits(b: Builder, x: Wire, target: Any) -> Wire:
    """(1 - target) x - log(sigmoid(x)), without overflow."""
    x, target = b.promoted(x, target)
    soft = b.Add(log1p(b, b.Exp(b.Neg(b.Abs(x)))), b.Max(b.Neg(x), 0))
    return b.Add(b.Mul(b.Sub(b.wire(1, x.dtype), target), x), soft)


def bce(b: Builder, x: Wire, target: Any) -> Wire:
    """-target log(x) - (1 - target) log(1 - x), each logarithm at least -100."""
    x, target = b.promoted(x, target)
    one = b.wire(1, x.dtype)
    yes = b.Mul(target, b.Max(b.Log(x), -100))
    no = b.Mul(b.Sub(one, target), b.Max(b.Log(b.Sub(one, x)), -100))
    return b.Neg(b.Add(yes, no))


FORMS: dict[str, Form] = {
    "cross_entropy": cross_entropy,
    "smoothed_cross_entropy": cross_entropy,
    "nll_loss": nll_loss,
    "huber": huber,
    "regression_loss": regression_loss,
    "binary_cross_entropy_with_logits": bce_with_logits,
    "binary_cross_entropy": bce,
}
