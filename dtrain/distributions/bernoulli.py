"""Distributions of trials of two outcomes: Bernoulli, binomial and geometric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import finfo
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_binomial, draw_uniform
from dtrain.distributions.parameters import (
    Parameter,
    broadcast_all,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
    require_one,
)
from dtrain.functions.creation import arange
from dtrain.functions.special import xlog1py
from dtrain.nn.functional import binary_cross_entropy_with_logits, softplus


class _Binary(Distribution):
    """A distribution of trials, each a success with `probs`, or with log odds `logits`."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def _set_probabilities(self, probs: Parameter | None, logits: Parameter | None) -> Tensor:
        """Keep the parameter that was given; returns it."""
        require_one(type(self).__name__, probs=probs, logits=logits)
        name, value = ("logits", logits) if probs is None else ("probs", probs)
        (given,) = broadcast_all(value)  # type: ignore[arg-type]
        vars(self)[name] = given
        return given

    @lazy_property
    def probs(self) -> Tensor:
        """The probability of a success."""
        return logits_to_probs(self.logits, is_binary=True)

    @lazy_property
    def logits(self) -> Tensor:
        """The log odds of a success."""
        return probs_to_logits(self.probs, is_binary=True)

    @property
    def _given(self) -> Tensor:
        return vars(self)["probs" if "probs" in vars(self) else "logits"]

    @property
    def param_shape(self) -> tuple[int, ...]:
        """The shape of `probs` and `logits`."""
        return self._given.shape


class Bernoulli(_Binary):
    """1 with probability `probs`, else 0; or `logits`, the log odds, instead of `probs`.

    >>> Bernoulli(0.25).mean
    tensor(0.2500)
    """

    has_enumerate_support = True

    def __init__(
        self,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ):
        super().__init__(self._set_probabilities(probs, logits).shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """0 and 1."""
        return constraints.boolean

    @property
    def mean(self) -> Tensor:
        """`probs`"""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The more probable outcome; NaN where both are equally probable."""
        likely = (self.probs >= 0.5).to(self.probs.dtype)
        return likely.masked_fill(self.probs == 0.5, float("nan"))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw zeros and ones."""
        with no_grad():
            return self.probs.expand(self._extended_shape(sample_shape)).bernoulli()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of `value`."""
        self._check_value(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1, along the first dimension."""
        return _count_from_zero(self, 2, expand)


class Geometric(_Binary):
    """The number of failures before the first success."""

    def __init__(
        self,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ):
        given = self._set_probabilities(probs, logits)
        super().__init__(given.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not (given > 0).all():
            raise ValueError(
                f"Expected parameter probs (Tensor of shape {tuple(given.shape)}) of distribution "
                f"{self!r} to be positive but found invalid values:\n{given}"
            )

    @property
    def support(self) -> Constraint:
        """Integers of at least 0."""
        return constraints.nonnegative_integer

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return 1 / self.probs - 1

    @property
    def mode(self) -> Tensor:
        """0"""
        return self.probs.new_zeros(self.probs.shape)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw counts."""
        with no_grad():
            drawn = draw_uniform(self._extended_shape(sample_shape), self.probs)
            rate = (-self.probs).log1p().clamp(max=-finfo(self.probs.dtype).tiny)
            return (drawn.log() / rate).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of `value`."""
        self._check_value(value)
        return xlog1py(value, -self.probs) + self.probs.log()

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return (
            binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
        )


class Binomial(_Binary):
    """The number of successes among `total_count` trials."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "total_count": constraints.nonnegative_integer,
        **_Binary.arg_constraints,
    }
    has_enumerate_support = True
    total_count: Tensor

    def __init__(
        self,
        total_count: Parameter = 1,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ):
        given = self._set_probabilities(probs, logits)
        self.total_count, given = broadcast_all(total_count, given)
        self.total_count = self.total_count.to(given.dtype)
        vars(self)["logits" if probs is None else "probs"] = given
        super().__init__(given.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """Integers from 0 to `total_count`."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """The most probable count."""
        most = ((self.total_count + 1) * self.probs).floor()
        return most.clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw counts."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            return draw_binomial(self.total_count, self.probs, shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of `value`."""
        self._check_value(value)
        n = self.total_count
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return ways + value * self.logits - n * softplus(self.logits)

    def entropy(self) -> Tensor:
        """The entropy, in nats: a sum over all counts."""
        most = _same_count("Binomial.entropy", self.total_count)
        logs = self.log_prob(_count_from_zero(self, most + 1, False))
        return -(logs.exp() * logs).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 to total_count, along the first dimension."""
        most = _same_count("Binomial.enumerate_support", self.total_count)
        return _count_from_zero(self, most + 1, expand)


def _same_count(name: str, total_count: Tensor) -> int:
    most = int(total_count.max())
    if int(total_count.min()) != most:
        raise NotImplementedError(f"{name}: expected the same total_count everywhere")
    return most


def _count_from_zero(distribution: _Binary, stop: int, expand: bool) -> Tensor:
    given = distribution._given
    batch = distribution.batch_shape
    values = arange(stop, dtype=given.dtype, device=given.device)
    values = values.reshape(-1, *(1 for _ in batch))
    return values.expand(-1, *batch) if expand else values
