"""The normal distribution, its half, and its exponential."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.draws import draw_normal
from dtrain.distributions.location_scale import LocationScale
from dtrain.distributions.parameters import Parameter
from dtrain.distributions.transformed import TransformedDistribution
from dtrain.distributions.transforms import AbsTransform, ExpTransform


class Normal(LocationScale):
    """The normal distribution of mean `loc` and standard deviation `scale`.

    >>> Normal(0.0, 2.0).variance
    tensor(4.)
    """

    @property
    def mean(self) -> Tensor:
        """`loc`"""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """`scale`"""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """The square of `scale`."""
        return self.scale.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to `loc` and `scale`."""
        return self.loc + self.scale * draw_normal(self._extended_shape(sample_shape), self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        z = self._standardize(value)
        return -z.square() / 2 - self.scale.log() - math.log(2 * math.pi) / 2

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        self._check_value(value)
        return ((self.loc - value) / (self.scale * math.sqrt(2))).erfc() / 2

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        return self.loc + self.scale * math.sqrt(2) * (2 * value - 1).erfinv()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self.scale.log() + (1 + math.log(2 * math.pi)) / 2


class HalfNormal(TransformedDistribution):
    """The distribution of |x|, where x is normal of mean 0 and standard deviation `scale`."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {"scale": constraints.positive}
    base_dist: Normal

    def __init__(self, scale: Parameter, validate_args: bool | None = None):
        base = Normal(0.0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the normal distribution."""
        return self.base_dist.scale

    @property
    def support(self) -> Constraint:
        """Numbers of at least 0."""
        return constraints.nonnegative

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self) -> Tensor:
        """0"""
        return self.scale.new_zeros(self.scale.shape)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.scale.square() * (1 - 2 / math.pi)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        inside = self.base_dist.log_prob(value) + math.log(2)
        return inside.masked_fill(value < 0, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        self._check_value(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self.base_dist.entropy() - math.log(2)


class LogNormal(TransformedDistribution):
    """The distribution of exp(x), where x is normal of mean `loc` and deviation `scale`."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    base_dist: Normal

    def __init__(self, loc: Parameter, scale: Parameter, validate_args: bool | None = None):
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        """The variance."""
        square = self.scale.square()
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self.base_dist.entropy() + self.loc
