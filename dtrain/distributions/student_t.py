"""Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_log_gamma, draw_normal
from dtrain.distributions.parameters import Parameter, broadcast_all
from dtrain.functions.indexing import where


class StudentT(Distribution):
    """Student's t distribution of `df` degrees of freedom, moved by `loc`, stretched by `scale`."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    has_rsample = True
    df: Tensor
    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        df: Parameter,
        loc: Parameter = 0.0,
        scale: Parameter = 1.0,
        validate_args: bool | None = None,
    ):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """All real numbers."""
        return constraints.real

    @property
    def mean(self) -> Tensor:
        """`loc`; NaN where df <= 1, where there is no mean."""
        return self.loc.masked_fill(self.df <= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        """`loc`"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance: infinite where 1 < df <= 2, NaN where df <= 1."""
        heavy = self.df <= 2
        finite = self.scale.square() * self.df / where(heavy, 1.0, self.df - 2)
        return finite.masked_fill(heavy, math.inf).masked_fill(self.df <= 1, math.nan)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with (implicit) gradients to the parameters."""
        shape = self._extended_shape(sample_shape)
        normal = draw_normal(shape, self.loc)
        log_gamma = draw_log_gamma(shape, self.df / 2)  # of half a chi-squared number
        spread = ((self.df.double() / 2).log() - log_gamma).exp().sqrt().to(self.loc.dtype)
        return self.loc + self.scale * normal * spread

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        z = (value - self.loc) / self.scale
        return -(self.df + 1) / 2 * (z.square() / self.df).log1p() - self._log_normalizer()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        half = (self.df + 1) / 2
        return self._log_normalizer() + half * (half.digamma() - (self.df / 2).digamma())

    def _log_normalizer(self) -> Tensor:
        return (
            self.scale.log()
            + (math.pi * self.df).log() / 2
            + (self.df / 2).lgamma()
            - ((self.df + 1) / 2).lgamma()
        )
