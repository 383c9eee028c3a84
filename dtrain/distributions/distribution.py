"""`Distribution`, the base class: shapes, checks, and what follows from the other methods."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.backend.size import Size
from dtrain.distributions.constraints import Constraint, dependent

D = TypeVar("D", bound="Distribution")


class Distribution:
    """A probability distribution over tensors (torch.distributions.Distribution).

    A subclass assigns its parameters and then calls `__init__` of this class. The tensors in its
    attributes have the shape (*batch_shape, ...), and `expand` expands them, but for those that
    `_common` names: they belong to all distributions of the batch.

    Parameters
    ----------
    batch_shape : the shape of independent distributions that one object holds
    event_shape : the shape of one draw from one of them
    validate_args : check parameters and values; default: as `set_default_validate_args` says
    """

    has_rsample: ClassVar[bool] = False
    has_enumerate_support: ClassVar[bool] = False
    #: the constraint of each parameter
    arg_constraints: ClassVar[Mapping[str, Constraint]] = {}
    _common: ClassVar[frozenset[str]] = frozenset()
    _validate_args = __debug__

    def __init__(
        self,
        batch_shape: Sequence[int] = (),
        event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check parameters and values."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected True or False, got {value!r}")
        Distribution._validate_args = value

    # --- what a subclass defines ---

    @property
    def support(self) -> Constraint:
        """The set of values that can be drawn."""
        raise self._missing("support")

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise self._missing("mean")

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise self._missing("mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise self._missing("variance")

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to the parameters; shape (*sample_shape, *batch, *event)."""
        raise self._missing("rsample")

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw without gradients; shape (*sample_shape, *batch_shape, *event_shape)."""
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise self._missing("log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`."""
        raise self._missing("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        raise self._missing("icdf")

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        raise self._missing("entropy")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values that can be drawn, along the first dim; with `expand` over the batch, too."""
        raise self._missing("enumerate_support")

    def _missing(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no {name}")

    # --- what follows ---

    @property
    def batch_shape(self) -> Size:
        """The shape of independent distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one draw."""
        return self._event_shape

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return self.entropy().exp()

    def expand(self: D, batch_shape: Sequence[int]) -> D:
        """The same distribution with its parameters expanded to a batch shape."""
        shape, old = Size(batch_shape), len(self.batch_shape)
        expanded = copy.copy(self)
        for name, value in vars(self).items():
            if name in self._common:
                continue
            if isinstance(value, Tensor):
                setattr(expanded, name, value.expand(shape + value.shape[old:]))
            elif isinstance(value, Distribution):
                setattr(expanded, name, value.expand(shape + value.batch_shape[old:]))
        expanded._batch_shape = shape
        return expanded

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        return Size(sample_shape) + self.batch_shape + self.event_shape

    def __repr__(self) -> str:
        given = {name: vars(self)[name] for name in self.arg_constraints if name in vars(self)}
        shown = (
            f"{name}: {value if value.numel() == 1 else repr(value.shape)}"
            for name, value in given.items()
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    # --- checks ---

    def _check_parameters(self) -> None:
        for name, constraint in self.arg_constraints.items():
            if constraint is dependent or name not in vars(self):
                continue
            value = vars(self)[name]
            inside = constraint.check(value)
            if not inside.all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def _check_value(self, value: Any) -> None:
        """Refuse a value that cannot be drawn, if `validate_args`."""
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{type(self).__name__}: expected a tensor as value, got {type(value).__name__}"
            )
        events = len(self.event_shape)
        if tuple(value.shape[value.ndim - events :]) != tuple(self.event_shape):
            raise ValueError(
                f"{type(self).__name__}: expected a value of event shape "
                f"{tuple(self.event_shape)} in its last dimensions, got shape {tuple(value.shape)}"
            )
        own = self.batch_shape + self.event_shape
        for given, expected in zip(reversed(value.shape), reversed(own)):
            if given != expected and 1 not in (given, expected):
                raise ValueError(
                    f"{type(self).__name__}: expected a value that broadcasts with "
                    f"{tuple(own)} (batch_shape + event_shape), got shape {tuple(value.shape)}"
                )
        support = self.support
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, "
                f"but found invalid values:\n{value}"
            )
