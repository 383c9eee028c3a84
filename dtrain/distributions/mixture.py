"""`MixtureSameFamily`: a mixture of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.distributions.categorical import Categorical
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution


class MixtureSameFamily(Distribution):
    """A draw from one of n components, which `mixture_distribution` chooses.

    Parameters
    ----------
    mixture_distribution : Categorical over the n components; batch shape as the components', or ()
    component_distribution : batch shape (*batch, n)
    """

    _mixture_distribution: Categorical

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "MixtureSameFamily: expected a Categorical as mixture_distribution, "
                f"got {type(mixture_distribution).__name__}"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "MixtureSameFamily: expected a distribution as component_distribution, "
                f"got {type(component_distribution).__name__}"
            )
        shape = component_distribution.batch_shape
        batch, n = shape[:-1], mixture_distribution.param_shape[-1]
        given = mixture_distribution.batch_shape
        for size, expected in zip(reversed(given), reversed(batch)):
            if size not in (1, expected) and expected != 1:
                raise ValueError(
                    f"MixtureSameFamily: the batch shape {tuple(given)} of the mixture does not "
                    f"fit that of the components, {tuple(shape)} without the last"
                )
        if not shape or shape[-1] != n:
            raise ValueError(
                f"MixtureSameFamily: expected components of batch shape (..., {n}), as many as "
                f"the mixture chooses from, got {tuple(shape)}"
            )
        self._mixture_distribution = mixture_distribution.expand(batch)
        self._component_distribution = component_distribution
        super().__init__(batch, component_distribution.event_shape, validate_args=validate_args)

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution of the component's number."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components, along the last batch dimension."""
        return self._component_distribution

    @property
    def support(self) -> Constraint:
        """The components' support."""
        return self._component_distribution.support

    def _weighted(self, values: Tensor) -> Tensor:
        """The mean over the components of values (*batch, n, *event)."""
        events = len(self.event_shape)
        weights = self._mixture_distribution.probs
        weights = weights.reshape(*weights.shape, *(1 for _ in range(events)))
        return (weights * values).sum(-1 - events)

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._weighted(self._component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The variance: the mean of the variances, and the variance of the means."""
        means = self._component_distribution.mean
        centre = self.mean.unsqueeze(-1 - len(self.event_shape))
        return self._weighted(self._component_distribution.variance + (means - centre).square())

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        below = self._component_distribution.cdf(self._pad(value))
        return (below * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        self._check_value(value)
        logs = self._component_distribution.log_prob(self._pad(value))
        return (logs + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw a component's number, and from each component; returns that one's draw."""
        with no_grad():
            events = len(self.event_shape)
            chosen = self._mixture_distribution.sample(sample_shape)
            drawn = self._component_distribution.sample(sample_shape)
            index = chosen.reshape(*chosen.shape, 1, *(1 for _ in range(events)))
            index = index.expand(*chosen.shape, 1, *self.event_shape)
            return drawn.gather(-1 - events, index).squeeze(-1 - events)

    def _pad(self, value: Tensor) -> Tensor:
        return value.unsqueeze(-1 - len(self.event_shape))

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self._mixture_distribution}, {self._component_distribution})"
