"""Continuous relaxations of Bernoulli and OneHotCategorical, whose draws have gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.bernoulli import _Binary
from dtrain.distributions.categorical import Categorical, _OfCategories
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.draws import draw_uniform
from dtrain.distributions.parameters import Parameter, broadcast_all, clamp_probs
from dtrain.distributions.transformed import TransformedDistribution
from dtrain.distributions.transforms import ExpTransform, SigmoidTransform
from dtrain.nn.functional import softplus


class LogitRelaxedBernoulli(_Binary):
    """The log odds of a RelaxedBernoulli (Maddison et al., 2017: the binary Concrete)."""

    has_rsample = True
    _common = frozenset({"temperature"})
    temperature: Parameter

    def __init__(
        self,
        temperature: Parameter,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ):
        shape = self._set_probabilities(probs, logits).shape
        self.temperature = temperature
        super().__init__(shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """All real numbers."""
        return constraints.real

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to the parameters."""
        probs = clamp_probs(self.probs.expand(self._extended_shape(sample_shape)))
        u = draw_uniform(probs.shape, probs)
        odds = u.log() - (-u).log1p() + probs.log() - (-probs).log1p()
        return odds / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        logits, value = broadcast_all(self.logits, value)
        difference = logits - value * self.temperature
        return _log(self.temperature) + difference - 2 * softplus(difference)


class _Relaxed(TransformedDistribution):
    """A function of a relaxed distribution, whose parameters are its own."""

    base_dist: LogitRelaxedBernoulli | ExpRelaxedCategorical

    @property
    def temperature(self) -> Parameter:
        """How far draws may be from 0 and 1."""
        return self.base_dist.temperature

    @property
    def probs(self) -> Tensor:
        """The probability of a 1, or of each category."""
        return self.base_dist.probs

    @property
    def logits(self) -> Tensor:
        """The log odds of a 1, or the logarithms of the categories' probabilities."""
        return self.base_dist.logits


class RelaxedBernoulli(_Relaxed):
    """Numbers in (0, 1) that tend to a Bernoulli's as `temperature` tends to 0."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = _Binary.arg_constraints
    base_dist: LogitRelaxedBernoulli

    def __init__(
        self,
        temperature: Parameter,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ):
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)


class ExpRelaxedCategorical(_OfCategories):
    """The logarithm of a RelaxedOneHotCategorical."""

    has_rsample = True
    _common = frozenset({"temperature"})
    temperature: Parameter

    def __init__(
        self,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Vectors of real numbers: logarithms of parts of 1."""
        return constraints.real_vector

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to the parameters, by Gumbel noise."""
        u = draw_uniform(self._extended_shape(sample_shape), self.logits)
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores.log_softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        n = self.event_shape[0]
        scores = (self.logits - value * self.temperature).log_softmax(-1).sum(-1)
        return scores + math.lgamma(n) + (n - 1) * _log(self.temperature)


class RelaxedOneHotCategorical(_Relaxed):
    """Positive parts of 1 that tend to a OneHotCategorical's as `temperature` tends to 0."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = Categorical.arg_constraints
    base_dist: ExpRelaxedCategorical

    def __init__(
        self,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Vectors of numbers of at least 0 that sum to 1."""
        return constraints.simplex


def _log(temperature: Parameter) -> Parameter:
    return temperature.log() if isinstance(temperature, Tensor) else math.log(temperature)
