"""Losses as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.distances import PairwiseDistance
from dtrain.nn.function_layer import FunctionLayer


class _Loss(FunctionLayer):
    """A loss; options that are tensors are buffers."""

    def __init__(self, buffers: dict[str, Tensor | None] | None = None, **options: Any):
        super().__init__(**options)
        for name, tensor in (buffers or {}).items():
            self.register_buffer(name, tensor)
        self._options += tuple(buffers or ())

    def extra_repr(self) -> str:
        return ""


# --- of numbers ---


class MSELoss(_Loss, of=F.mse_loss):
    """The mean squared error (torch.nn.MSELoss)."""

    def __init__(self, reduction: str = "mean"):
        super().__init__(reduction=reduction)


class L1Loss(_Loss, of=F.l1_loss):
    """The mean absolute error (torch.nn.L1Loss)."""

    def __init__(self, reduction: str = "mean"):
        super().__init__(reduction=reduction)


class HuberLoss(_Loss, of=F.huber_loss):
    """Squares below delta, sizes above it (Huber 1964) (torch.nn.HuberLoss)."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction=reduction, delta=delta)


class SmoothL1Loss(_Loss, of=F.smooth_l1_loss):
    """HuberLoss over its delta, here beta (Girshick 2015) (torch.nn.SmoothL1Loss)."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction=reduction, beta=beta)


class PoissonNLLLoss(_Loss, of=F.poisson_nll_loss):
    """-log Poisson(target; rate) (torch.nn.PoissonNLLLoss)."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ):
        super().__init__(log_input=log_input, full=full, eps=eps, reduction=reduction)


class GaussianNLLLoss(_Loss, of=F.gaussian_nll_loss):
    """-log Normal(target; input, var) (Nix and Weigend 1994) (torch.nn.GaussianNLLLoss)."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(full=full, eps=eps, reduction=reduction)


# --- of probabilities and classes ---


class BCELoss(_Loss, of=F.binary_cross_entropy):
    """Binary cross-entropy of probabilities (torch.nn.BCELoss)."""

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__({"weight": weight}, reduction=reduction)


class BCEWithLogitsLoss(_Loss, of=F.binary_cross_entropy_with_logits):
    """Binary cross-entropy of logits (torch.nn.BCEWithLogitsLoss)."""

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__({"weight": weight, "pos_weight": pos_weight}, reduction=reduction)


class KLDivLoss(_Loss, of=F.kl_div):
    """The divergence of distributions (torch.nn.KLDivLoss)."""

    def __init__(self, reduction: str = "mean", log_target: bool = False):
        super().__init__(reduction=reduction, log_target=log_target)


class CrossEntropyLoss(_Loss, of=F.cross_entropy):
    """Cross-entropy of logits and classes, or probabilities (torch.nn.CrossEntropyLoss)."""

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(
            {"weight": weight},
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )


class NLLLoss(_Loss, of=F.nll_loss):
    """The negative log-likelihood of log-probabilities and classes (torch.nn.NLLLoss)."""

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ):
        super().__init__({"weight": weight}, ignore_index=ignore_index, reduction=reduction)


class CTCLoss(_Loss, of=F.ctc_loss):
    """-log of the chance of all alignments with labels (Graves et al. 2006) (torch.nn.CTCLoss)."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(blank=blank, reduction=reduction, zero_infinity=zero_infinity)


# --- of margins ---


class HingeEmbeddingLoss(_Loss, of=F.hinge_embedding_loss):
    """A distance where the target is 1, what a margin misses where -1.

    (torch.nn.HingeEmbeddingLoss)
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(margin=margin, reduction=reduction)


class SoftMarginLoss(_Loss, of=F.soft_margin_loss):
    """log(1 + exp(-target * input)) (torch.nn.SoftMarginLoss)."""

    def __init__(self, reduction: str = "mean"):
        super().__init__(reduction=reduction)


class MarginRankingLoss(_Loss, of=F.margin_ranking_loss):
    """max(0, margin - target * (input1 - input2)) (torch.nn.MarginRankingLoss)."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(margin=margin, reduction=reduction)


class CosineEmbeddingLoss(_Loss, of=F.cosine_embedding_loss):
    """1 - cos where the target is 1, max(0, cos - margin) where -1.

    (torch.nn.CosineEmbeddingLoss)
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(margin=margin, reduction=reduction)


class TripletMarginLoss(_Loss, of=F.triplet_margin_loss):
    """The positive nearer than the negative by a margin (torch.nn.TripletMarginLoss)."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ):
        super().__init__(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)
        _require_margin(margin)


class TripletMarginWithDistanceLoss(_Loss, of=F.triplet_margin_with_distance_loss):
    """TripletMarginLoss of any distance (torch.nn.TripletMarginWithDistanceLoss)."""

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
        _require_margin(margin)


def _require_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"TripletMarginLoss: expected margin > 0, got {margin}")


class MultiMarginLoss(_Loss, of=F.multi_margin_loss):
    """The target's score above the others' by a margin (torch.nn.MultiMarginLoss)."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ):
        super().__init__({"weight": weight}, p=p, margin=margin, reduction=reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: expected p = 1 or 2, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected a weight (c,), got {weight.shape}")


class MultiLabelMarginLoss(_Loss, of=F.multilabel_margin_loss):
    """The labels' scores above the others' by 1 (torch.nn.MultiLabelMarginLoss)."""

    def __init__(self, reduction: str = "mean"):
        super().__init__(reduction=reduction)


class MultiLabelSoftMarginLoss(_Loss, of=F.multilabel_soft_margin_loss):
    """Binary cross-entropy, its mean over classes (torch.nn.MultiLabelSoftMarginLoss)."""

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__({"weight": weight}, reduction=reduction)
