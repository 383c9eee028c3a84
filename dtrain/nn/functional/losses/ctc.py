"""ctc_loss: connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module, to_host
from dtrain.backend.dtypes import category
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.nn.functional.losses.reduction import check_reduction
from dtrain.primitives import losses as primitives


@autocasts
@in_float32
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the total probability of all alignments of the labels with the sequence
    (torch.nn.functional.ctc_loss; Graves et al. 2006).

    Shape: log_probs (t, n, c), or (t, c) without a batch; targets (n, s), or all labels
    concatenated (sum of target_lengths,). "mean" divides each loss by its number of labels, then
    averages. A sample without an alignment has an infinite loss, with `zero_infinity` zero.

    The gradient is the derivative by log_probs; PyTorch's also has exp(log_probs), which
    log_softmax's gradient cancels.
    """
    check_reduction(reduction)
    if log_probs.ndim == 2:
        losses = ctc_loss(
            log_probs.unsqueeze(1), targets.unsqueeze(0), _lengths(input_lengths, "input_lengths"),
            _lengths(target_lengths, "target_lengths"), blank, reduction, zero_infinity,
        )  # fmt: skip
        return losses.squeeze(0) if reduction == "none" else losses
    steps, n, classes = log_probs.shape
    ins, outs = _lengths(input_lengths, "input_lengths"), _lengths(target_lengths, "target_lengths")
    for name, lengths in (("input_lengths", ins), ("target_lengths", outs)):
        if lengths.shape != (n,):
            raise RuntimeError(f"ctc_loss: expected {n} {name}, got {lengths.shape}")
    if n and not (ins.min() >= 0 and ins.max() <= steps):
        raise RuntimeError(f"ctc_loss: expected input_lengths from 0 to {steps}, got {ins}")
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: expected 0 <= blank < {classes}, got {blank}")
    labels = np.full((n, 2 * int(outs.max(initial=0)) + 1), blank)
    labels[:, 1::2] = _pad_labels(targets, outs, blank)
    skips = np.zeros(labels.shape, bool)  # an alignment cannot skip the blank between equal labels
    skips[:, 1:2] = True  # it may start with the first label
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    xp = array_module(log_probs.array)
    losses = primitives.ctc_loss(
        log_probs,
        labels=xp.asarray(labels),
        skips=xp.asarray(skips),
        input_lengths=xp.asarray(ins),
        ends=xp.asarray(2 * outs),
        zero_infinity=zero_infinity,
    )
    if reduction == "mean":
        return (losses / wrap(xp.asarray(np.maximum(outs, 1).astype(losses.dtype)))).mean()
    return losses.sum() if reduction == "sum" else losses


def _lengths(given: Any, name: str) -> Array:
    """Convert lengths, a tensor or numbers, to an array on the CPU."""
    array = to_host(given.array) if isinstance(given, Tensor) else np.asarray(given, np.int64)
    if category(array.dtype) != 1:
        raise RuntimeError(f"ctc_loss: expected integers as {name}, got {array.dtype}")
    if array.size and array.min() < 0:
        raise RuntimeError(f"ctc_loss: expected {name} of at least 0, got {array}")
    return array.reshape(-1).astype(np.int64)


def _pad_labels(targets: Tensor, lengths: Array, blank: int) -> Array:
    """The labels of each sample, padded with blanks: (n, longest)."""
    array = to_host(targets.array).astype(np.int64)
    longest = int(lengths.max(initial=0))
    is_padding = np.arange(longest) >= lengths[:, None]
    if array.ndim == 1:
        if array.size != lengths.sum():
            raise RuntimeError(
                f"ctc_loss: expected {lengths.sum()} targets by target_lengths, got {array.size}"
            )
        rows = np.full(is_padding.shape, blank)
        rows[~is_padding] = array
        return rows
    if array.ndim != 2 or array.shape[0] != len(lengths) or array.shape[1] < longest:
        raise RuntimeError(
            f"ctc_loss: expected targets of shape ({len(lengths)}, {longest} or more) by "
            f"target_lengths, got {targets.shape}"
        )
    return np.where(is_padding, blank, array[:, :longest])
