"""Dropout and its kin as layers."""

from __future__ import annotations

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer


class _Dropout(FunctionLayer):
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


class Dropout(_Dropout, of=F.dropout):
    """Zero each element with probability p while training (torch.nn.Dropout).

    Which ones is a function of (seed, step, microbatch, call): the same on any number of ranks
    (Srivastava et al. 2014).
    """


class Dropout1d(_Dropout, of=F.dropout1d):
    """Dropout of whole channels. input: (n, c, l) or (c, l) (torch.nn.Dropout1d)."""


class Dropout2d(_Dropout, of=F.dropout2d):
    """Dropout of whole channels. input: (n, c, h, w) (torch.nn.Dropout2d)."""


class Dropout3d(_Dropout, of=F.dropout3d):
    """Dropout of whole channels. input: (n, c, d, h, w) (torch.nn.Dropout3d)."""


class AlphaDropout(_Dropout, of=F.alpha_dropout):
    """Dropout that keeps SELU's mean and variance (torch.nn.AlphaDropout)."""


class FeatureAlphaDropout(_Dropout, of=F.feature_alpha_dropout):
    """AlphaDropout of whole channels. input: (n, c, ...) (torch.nn.FeatureAlphaDropout)."""
