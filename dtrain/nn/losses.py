"""Losses as layers; `reduction` "mean" or "sum" gives a 0-d tensor, "none" each loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.distances import PairwiseDistance
from dtrain.nn.function_layer import FunctionLayer
from dtrain.nn.functional.losses.reduction import takes_size_average


class _Loss(FunctionLayer):
    """A loss of predictions and targets; options that are tensors are buffers."""

    def __init__(self, buffers: dict[str, Tensor | None] | None = None, **options: Any):
        super().__init__(**options)
        for name, tensor in (buffers or {}).items():
            self.register_buffer(name, tensor)
        self._options += tuple(buffers or ())

    def extra_repr(self) -> str:
        return ""


class _TargetLoss(_Loss):
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return super().forward(input, target)


class _ReducedLoss(_TargetLoss):
    """A loss whose only option is its reduction."""

    @takes_size_average
    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ):
        super().__init__(reduction=reduction)


class _PairLoss(_Loss):
    """A loss of two inputs and a target that is 1 or -1."""

    @takes_size_average
    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(margin=margin, reduction=reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return super().forward(input1, input2, target)


class _TripletLoss(_Loss):
    def __init__(self, margin: float, **options: Any):
        super().__init__(margin=margin, **options)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin > 0, got {margin}")

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return super().forward(anchor, positive, negative)


# --- regression: input and target of the same shape ---


class MSELoss(_ReducedLoss, function=F.mse_loss):
    """(input - target)^2 (torch.nn.MSELoss)."""


class L1Loss(_ReducedLoss, function=F.l1_loss):
    """|input - target| (torch.nn.L1Loss)."""


class HuberLoss(_TargetLoss, function=F.huber_loss):
    """d^2 / 2 if |d| < delta else delta * (|d| - delta / 2), d = input - target
    (torch.nn.HuberLoss; Huber 1964).
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction, delta=delta)


class SmoothL1Loss(_TargetLoss, function=F.smooth_l1_loss):
    """HuberLoss with delta = beta, divided by beta (torch.nn.SmoothL1Loss; Girshick 2015)."""

    @takes_size_average
    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ):
        super().__init__(reduction=reduction, beta=beta)


class PoissonNLLLoss(_TargetLoss, function=F.poisson_nll_loss):
    """exp(input) - target * input: the negative log-likelihood of a Poisson distribution whose rate
    is exp(input), or without `log_input` the input (torch.nn.PoissonNLLLoss).
    """

    @takes_size_average
    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(log_input=log_input, full=full, eps=eps, reduction=reduction)


class GaussianNLLLoss(_Loss, function=F.gaussian_nll_loss):
    """(log(var) + (input - target)^2 / var) / 2 (torch.nn.GaussianNLLLoss).

    Nix and Weigend 1994.
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(full=full, eps=eps, reduction=reduction)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return super().forward(input, target, var)


# --- probabilities and classes ---


class BCELoss(_TargetLoss, function=F.binary_cross_entropy):
    """-(target * log(input) + (1 - target) * log(1 - input)) of probabilities, with logarithms
    of at least -100 (torch.nn.BCELoss).
    """

    @takes_size_average
    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__({"weight": weight}, reduction=reduction)


class BCEWithLogitsLoss(_TargetLoss, function=F.binary_cross_entropy_with_logits):
    """BCELoss of sigmoid(input), without overflow (torch.nn.BCEWithLogitsLoss)."""

    @takes_size_average
    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__({"weight": weight, "pos_weight": pos_weight}, reduction=reduction)


class KLDivLoss(_TargetLoss, function=F.kl_div):
    """target * (log(target) - input), the Kullback-Leibler divergence; input: log-probabilities,
    target: probabilities, with `log_target` log-probabilities (torch.nn.KLDivLoss).
    """

    @takes_size_average
    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ):
        super().__init__(reduction=reduction, log_target=log_target)


class CrossEntropyLoss(_TargetLoss, function=F.cross_entropy):
    """-log softmax(input)[target] (torch.nn.CrossEntropyLoss).

    Shape: input (n, c, ...) or (c,): logits; target (n, ...) or (): classes, or of the input's
    shape: probabilities.
    """

    @takes_size_average
    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(
            {"weight": weight},
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )


class NLLLoss(_TargetLoss, function=F.nll_loss):
    """-input[target] of log-probabilities; shapes as in CrossEntropyLoss (torch.nn.NLLLoss)."""

    @takes_size_average
    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__({"weight": weight}, ignore_index=ignore_index, reduction=reduction)


class CTCLoss(_Loss, function=F.ctc_loss):
    """-log of the probability of the labels, summed over all their alignments with the input
    (torch.nn.CTCLoss; Graves et al. 2006).

    Shape: log_probs (t, n, c) or (t, c); targets (n, s) or all labels in a row; lengths (n,).
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(blank=blank, reduction=reduction, zero_infinity=zero_infinity)

    def forward(
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        return super().forward(log_probs, targets, input_lengths, target_lengths)


# --- margins ---


class HingeEmbeddingLoss(_TargetLoss, function=F.hinge_embedding_loss):
    """input if target = 1, max(0, margin - input) if -1 (torch.nn.HingeEmbeddingLoss)."""

    @takes_size_average
    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(margin=margin, reduction=reduction)


class SoftMarginLoss(_ReducedLoss, function=F.soft_margin_loss):
    """log(1 + exp(-target * input)), target 1 or -1 (torch.nn.SoftMarginLoss)."""


class MarginRankingLoss(_PairLoss, function=F.margin_ranking_loss):
    """max(0, margin - target * (input1 - input2)) (torch.nn.MarginRankingLoss)."""


class CosineEmbeddingLoss(_PairLoss, function=F.cosine_embedding_loss):
    """1 - cos(input1, input2) if target = 1, max(0, cos(input1, input2) - margin) if target = -1
    (torch.nn.CosineEmbeddingLoss).

    Shape: inputs (n, d) or (d,); target (n,) or ().
    """


class TripletMarginLoss(_TripletLoss, function=F.triplet_margin_loss):
    """max(0, margin + |anchor - positive| - |anchor - negative|), p-norms of vectors (..., d)
    (torch.nn.TripletMarginLoss; Balntas et al. 2016).
    """

    @takes_size_average
    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)


class TripletMarginWithDistanceLoss(_TripletLoss, function=F.triplet_margin_with_distance_loss):
    """TripletMarginLoss with any distance function (torch.nn.TripletMarginWithDistanceLoss)."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ):
        distance = PairwiseDistance() if distance_function is None else distance_function
        super().__init__(distance_function=distance, margin=margin, swap=swap, reduction=reduction)


class MultiMarginLoss(_TargetLoss, function=F.multi_margin_loss):
    """The mean over classes i != target of max(0, margin - input[target] + input[i])^p
    (torch.nn.MultiMarginLoss).

    Shape: input (n, c) or (c,); target (n,) or ().
    """

    @takes_size_average
    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__({"weight": weight}, p=p, margin=margin, reduction=reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: expected p = 1 or 2, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected a weight (c,), got {weight.shape}")


class MultiLabelMarginLoss(_ReducedLoss, function=F.multilabel_margin_loss):
    """The sum over labels j and other classes i of max(0, 1 - input[j] + input[i]), divided by c
    (torch.nn.MultiLabelMarginLoss).

    Shape: input and target (n, c) or (c,); a row's labels stand before its first -1.
    """


class MultiLabelSoftMarginLoss(_TargetLoss, function=F.multilabel_soft_margin_loss):
    """BCEWithLogitsLoss, averaged over classes (n, c) (torch.nn.MultiLabelSoftMarginLoss)."""

    @takes_size_average
    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__({"weight": weight}, reduction=reduction)
