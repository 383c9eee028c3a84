"""Distributions moved by a location and stretched by a scale, drawn by their quantiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_uniform
from dtrain.distributions.parameters import Parameter, broadcast_all

_EULER = 0.57721566490153286061


class Uniform(Distribution):
    """The uniform distribution over [low, high)."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "low": constraints.dependent,
        "high": constraints.dependent,
    }
    has_rsample = True
    low: Tensor
    high: Tensor

    def __init__(self, low: Parameter, high: Parameter, validate_args: bool | None = None):
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)
        if self._validate_args and not (self.low < self.high).all():
            raise ValueError(f"Uniform is not defined when low >= high, got {self!r}")

    @property
    def support(self) -> Constraint:
        """Numbers in [low, high]."""
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return (self.low + self.high) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: all values are equally probable."""
        return self.low * math.nan

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to `low` and `high`."""
        drawn = draw_uniform(self._extended_shape(sample_shape), self.low)
        return self.low + drawn * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`: minus infinity outside."""
        self._check_value(value)
        inside = (value >= self.low) & (value < self.high)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        self._check_value(value)
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        return self.low + value * (self.high - self.low)

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return (self.high - self.low).log()


class LocationScale(Distribution):
    """A distribution over all real numbers; its draws are `icdf` of uniform numbers."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    has_rsample = True
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Parameter, scale: Parameter, validate_args: bool | None = None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """All real numbers."""
        return constraints.real

    @property
    def mode(self) -> Tensor:
        """`loc`"""
        return self.loc

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to `loc` and `scale`."""
        return self.icdf(draw_uniform(self._extended_shape(sample_shape), self.loc))

    def _standardize(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return (value - self.loc) / self.scale


class Laplace(LocationScale):
    """The Laplace distribution: two exponential ones, back to back at `loc`."""

    @property
    def mean(self) -> Tensor:
        """`loc`"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return 2 * self.scale.square()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        return -self._standardize(value).abs() - (2 * self.scale).log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        z = self._standardize(value)
        return 0.5 - 0.5 * z.sign() * (-z.abs()).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return 1 + (2 * self.scale).log()


class Cauchy(LocationScale):
    """The Cauchy distribution, which has neither mean nor variance."""

    @property
    def mean(self) -> Tensor:
        """NaN: there is none."""
        return self.loc * math.nan

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.loc.new_full(self.loc.shape, math.inf)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        return -math.log(math.pi) - self.scale.log() - self._standardize(value).square().log1p()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        return self._standardize(value).atan() / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        return self.loc + self.scale * (math.pi * (value - 0.5)).tan()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return math.log(4 * math.pi) + self.scale.log()


class Gumbel(LocationScale):
    """The Gumbel distribution: the limit of maxima."""

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.loc + self.scale * _EULER

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return (math.pi * self.scale).square() / 6

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        z = self._standardize(value)
        return -z - (-z).exp() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        return (-(-self._standardize(value)).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self.scale.log() + (1 + _EULER)
