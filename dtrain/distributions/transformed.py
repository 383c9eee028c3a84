"""`TransformedDistribution`: the distribution of a function of random numbers."""

from __future__ import annotations

from collections.abc import Sequence

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.combined_transforms import ComposeTransform
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.independent import Independent
from dtrain.distributions.transforms import Transform, sum_rightmost


class TransformedDistribution(Distribution):
    """The distribution of t(x), where x is drawn from `base_distribution`.

    Parameters
    ----------
    base_distribution : the distribution of x
    transforms : a transform, or a list of them that are applied one after the other

    >>> from dtrain import tensor
    >>> from dtrain.distributions import ExpTransform, Normal
    >>> TransformedDistribution(Normal(0.0, 1.0), ExpTransform()).icdf(tensor(0.5))
    tensor(1.)
    """

    base_dist: Distribution
    transforms: list[Transform]

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ):
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        for transform in self.transforms:
            if not isinstance(transform, Transform):
                raise ValueError(
                    f"TransformedDistribution: expected transforms, got {type(transform).__name__}"
                )
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_events = len(base_distribution.event_shape)
        whole = ComposeTransform(self.transforms)
        if len(base_shape) < whole.domain.event_dim:
            raise ValueError(
                f"{type(self).__name__}: expected a base distribution of at least "
                f"{whole.domain.event_dim} dimensions, got shape {tuple(base_shape)}"
            )
        shape = whole.forward_shape(base_shape)
        expanded = whole.inverse_shape(shape)
        if tuple(expanded) != tuple(base_shape):
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_events])
        missing = whole.domain.event_dim - base_events
        if missing > 0:
            base_distribution = Independent(base_distribution, missing)
        self.base_dist = base_distribution
        growth = whole.codomain.event_dim - whole.domain.event_dim
        event_dim = max(whole.codomain.event_dim, base_events + growth)
        cut = len(shape) - event_dim
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws have gradients: as those of the base distribution."""
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint:
        """The last transform's codomain."""
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        missing = len(self.event_shape) - support.event_dim
        return constraints.independent(support, missing) if missing > 0 else support

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw without gradients."""
        with no_grad():
            return self._transform(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to the parameters."""
        return self._transform(self.base_dist.rsample(sample_shape))

    def _transform(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        event_dim, y = len(self.event_shape), value
        total: Tensor | None = None
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            term = sum_rightmost(
                transform.log_abs_det_jacobian(x, y), event_dim - transform.domain.event_dim
            )
            total = term if total is None else total + term
            y = x
        inside = sum_rightmost(
            self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape)
        )
        return inside if total is None else inside - total

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw of at most `value`, of monotone transforms of numbers."""
        self._check_value(value)
        sign = ComposeTransform(self.transforms).sign
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._reflect(self.base_dist.cdf(value), sign)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        sign = ComposeTransform(self.transforms).sign
        return self._transform(self.base_dist.icdf(self._reflect(value, sign)))

    @staticmethod
    def _reflect(value: Tensor, sign: Tensor | float) -> Tensor:
        """The value where the transform increases, 1 - value where it decreases."""
        return sign * (value - 0.5) + 0.5
