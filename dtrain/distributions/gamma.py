"""The gamma distribution, and its cases: exponential and chi-squared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import finfo
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_log_gamma, draw_uniform
from dtrain.distributions.parameters import Parameter, broadcast_all
from dtrain.functions.exponentials import xlogy
from dtrain.functions.special import gammainc


class Gamma(Distribution):
    """The gamma distribution of shape `concentration` and of inverse scale `rate`.

    >>> Gamma(3.0, 2.0).mean
    tensor(1.5000)
    """

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    has_rsample = True
    concentration: Tensor
    rate: Tensor

    def __init__(
        self, concentration: Parameter, rate: Parameter, validate_args: bool | None = None
    ):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Numbers of at least 0."""
        return constraints.nonnegative

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with (implicit) gradients to the parameters."""
        drawn = draw_log_gamma(self._extended_shape(sample_shape), self.concentration).exp()
        return (drawn / self.rate).to(self.rate.dtype).clamp(min=finfo(self.rate.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        return (
            xlogy(self.concentration, self.rate)
            + xlogy(self.concentration - 1, value)
            - self.rate * value
            - self.concentration.lgamma()
        )

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        self._check_value(value)
        return gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        c = self.concentration
        return c - self.rate.log() + c.lgamma() + (1 - c) * c.digamma()


class Chi2(Gamma):
    """The distribution of the sum of `df` squares of standard normal numbers."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {"df": constraints.positive}

    def __init__(self, df: Parameter, validate_args: bool | None = None):
        (self.df,) = broadcast_all(df)
        super().__init__(0.5 * self.df, 0.5, validate_args=validate_args)


class Exponential(Distribution):
    """The exponential distribution of mean 1 / `rate`."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {"rate": constraints.positive}
    has_rsample = True
    rate: Tensor

    def __init__(self, rate: Parameter, validate_args: bool | None = None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Numbers of at least 0."""
        return constraints.nonnegative

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.rate.reciprocal()

    @property
    def mode(self) -> Tensor:
        """0"""
        return self.rate.new_zeros(self.rate.shape)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.rate.square().reciprocal()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to `rate`."""
        return -draw_uniform(self._extended_shape(sample_shape), self.rate).log() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        self._check_value(value)
        return -(-self.rate * value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return 1 - self.rate.log()
