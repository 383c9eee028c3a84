"""The Poisson distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_poisson
from dtrain.distributions.parameters import Parameter, broadcast_all
from dtrain.functions.exponentials import xlogy


class Poisson(Distribution):
    """The number of events that come at random, `rate` of them on average."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {"rate": constraints.nonnegative}
    rate: Tensor

    def __init__(self, rate: Parameter, validate_args: bool | None = None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Integers of at least 0."""
        return constraints.nonnegative_integer

    @property
    def mean(self) -> Tensor:
        """`rate`"""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """The most probable count."""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """`rate`"""
        return self.rate

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw counts."""
        with no_grad():
            return draw_poisson(self.rate, self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of `value`."""
        self._check_value(value)
        return xlogy(value, self.rate) - self.rate - (value + 1).lgamma()
