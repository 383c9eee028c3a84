"""The Dirichlet distribution, and the beta distribution, its case of two parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_log_gamma
from dtrain.distributions.parameters import Parameter, broadcast_all
from dtrain.functions.exponentials import xlogy
from dtrain.functions.indexing import where
from dtrain.functions.joining import stack
from dtrain.functions.special import xlog1py


class Dirichlet(Distribution):
    """The Dirichlet distribution over vectors of positive parts that sum to 1.

    Parameters
    ----------
    concentration : (*batch_shape, n), positive
    """

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    has_rsample = True
    concentration: Tensor

    def __init__(self, concentration: Tensor, validate_args: bool | None = None):
        if concentration.ndim < 1:
            raise ValueError("Dirichlet: expected a concentration of at least one dimension")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Vectors of numbers of at least 0 that sum to 1."""
        return constraints.simplex

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """The most probable value; if no concentration exceeds 1, the largest one's corner."""
        above = (self.concentration - 1).clamp(min=0)
        flat = (self.concentration < 1).all(-1, True)
        corner = self.concentration == self.concentration.amax(-1, True)
        corner = corner & (corner.cumsum(-1) == 1)  # the first one
        above = where(flat, corner.to(above.dtype), above)
        return above / above.sum(-1, True)

    @property
    def variance(self) -> Tensor:
        """The variance of each part."""
        total = self.concentration.sum(-1, True)
        mean = self.concentration / total
        return mean * (1 - mean) / (total + 1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with (implicit) gradients to `concentration`."""
        logs = draw_log_gamma(self._extended_shape(sample_shape), self.concentration)
        return logs.softmax(-1).to(self.concentration.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        c = self.concentration
        return xlogy(c - 1, value).sum(-1) + c.sum(-1).lgamma() - c.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        c, n = self.concentration, self.concentration.shape[-1]
        total = c.sum(-1)
        return (
            c.lgamma().sum(-1)
            - total.lgamma()
            - (n - total) * total.digamma()
            - ((c - 1) * c.digamma()).sum(-1)
        )


class Beta(Distribution):
    """The beta distribution over (0, 1), whose density is x^(c1 - 1) (1 - x)^(c0 - 1) / B(c1, c0).

    >>> Beta(1.0, 3.0).mean
    tensor(0.2500)
    """

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    has_rsample = True
    concentration1: Tensor
    concentration0: Tensor

    def __init__(
        self,
        concentration1: Parameter,
        concentration0: Parameter,
        validate_args: bool | None = None,
    ):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration0.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Numbers in [0, 1]."""
        return constraints.unit_interval

    @property
    def _dirichlet(self) -> Dirichlet:
        both = stack([self.concentration1, self.concentration0], -1)
        return Dirichlet(both, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self._dirichlet.variance[..., 0]

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with (implicit) gradients to the parameters."""
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        one, zero = self.concentration1, self.concentration0
        return (
            xlogy(one - 1, value)
            + xlog1py(zero - 1, -value)
            + (one + zero).lgamma()
            - one.lgamma()
            - zero.lgamma()
        )

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self._dirichlet.entropy()
