"""Dropout, of elements and of channels, as layers; outside training all return their input."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer


class _DropoutNd(FunctionLayer):
    """Dropout with probability p in training mode; input and output have the same shape."""

    p: float
    inplace: bool

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__(p=p, inplace=inplace)
        if not 0 <= p <= 1:
            raise ValueError(
                f"{type(self).__name__}: expected a probability between 0 and 1, got {p}"
            )

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input, training=self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd, function=F.dropout):
    """Zero each element with probability p, scale the rest by 1 / (1 - p) (torch.nn.Dropout).

    The mask depends on (seed, step, microbatch, call), not on the number of ranks
    (Srivastava et al. 2014).
    """


class Dropout1d(_DropoutNd, function=F.dropout1d):
    """Dropout of whole channels; input (n, c, l) or (c, l) (torch.nn.Dropout1d)."""


class Dropout2d(_DropoutNd, function=F.dropout2d):
    """Dropout of whole channels; input (n, c, h, w) (torch.nn.Dropout2d; Tompson et al. 2015)."""


class Dropout3d(_DropoutNd, function=F.dropout3d):
    """Dropout of whole channels; input (n, c, d, h, w) or (c, d, h, w) (torch.nn.Dropout3d)."""


class AlphaDropout(_DropoutNd, function=F.alpha_dropout):
    """Dropout that keeps the mean and variance of SELU's outputs: it sets elements to SELU's
    negative limit instead of 0 (torch.nn.AlphaDropout; Klambauer et al. 2017).
    """


class FeatureAlphaDropout(_DropoutNd, function=F.feature_alpha_dropout):
    """AlphaDropout of whole channels; input (n, c, ...) (torch.nn.FeatureAlphaDropout)."""
