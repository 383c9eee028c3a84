"""Invertible functions of random numbers, with the determinants of their Jacobians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.size import Size
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.parameters import Parameter
from dtrain.functions.joining import broadcast_shapes
from dtrain.nn.functional import logsigmoid, softplus


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over the last `dims` dimensions."""
    return value.sum(tuple(range(-dims, 0))) if dims else value


class Transform:
    """A function y = t(x), its inverse `t.inv`, and log |dy/dx| (torch.distributions.transforms).

    A subclass defines `_call`, `_inverse`, `log_abs_det_jacobian`, and its `domain` and `codomain`.

    Parameters
    ----------
    cache_size : 1 to keep the last x and y, so that `t.inv(y)` returns that very x; 0 not to
    """

    bijective: bool = True
    domain: Constraint = constraints.real
    codomain: Constraint = constraints.real

    def __init__(self, cache_size: int = 0):
        if cache_size not in (0, 1):
            raise ValueError(f"{type(self).__name__}: expected cache_size 0 or 1, got {cache_size}")
        self._cache_size = cache_size
        self._cached: tuple[Any, Any] = None, None
        self._inverse_transform: Transform | None = None

    @property
    def event_dim(self) -> int:
        """The dimensions of an event that is transformed, if they stay the same."""
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim
        raise ValueError(
            f"{self!r} changes the number of dimensions of an event; ask domain.event_dim or "
            "codomain.event_dim"
        )

    @property
    def inv(self) -> Transform:
        """The inverse transform."""
        if self._inverse_transform is None:
            self._inverse_transform = _Inverse(self)
        return self._inverse_transform

    @property
    def sign(self) -> Any:
        """1 where it increases, -1 where it decreases."""
        raise NotImplementedError(f"{type(self).__name__} is not monotone: it has no sign")

    def __call__(self, x: Tensor) -> Tensor:
        cached_x, cached_y = self._cached
        if x is cached_x:
            return cached_y
        y = self._call(x)
        if self._cache_size:
            self._cached = x, y
        return y

    def _invert(self, y: Tensor) -> Tensor:
        cached_x, cached_y = self._cached
        if y is cached_y:
            return cached_x
        x = self._inverse(y)
        if self._cache_size:
            self._cached = x, y
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} defines no _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx|, of an event the logarithm of the determinant's absolute value."""
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian")

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of y for an x of this shape."""
        return Size(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        """The shape of x for a y of this shape."""
        return Size(shape)

    def _has_same_parameters(self, other: Any) -> bool:
        """Whether it equals another transform of its class."""
        return False

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self._has_same_parameters(other))

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """The inverse of a transform, which keeps the cache."""

    def __init__(self, transform: Transform):
        super().__init__()
        self._transform = transform
        self._inverse_transform = transform
        self.bijective = transform.bijective
        self.domain, self.codomain = transform.codomain, transform.domain

    @property
    def sign(self) -> Any:
        return self._transform.sign

    def __call__(self, x: Tensor) -> Tensor:
        return self._transform._invert(x)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._transform.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return self._transform.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        return self._transform.forward_shape(shape)

    def _has_same_parameters(self, other: Any) -> bool:
        return self._transform == other._transform

    def __repr__(self) -> str:
        return f"{self._transform!r}.inv"


class _Elementwise(Transform):
    """A transform of numbers without parameters: all of a class are equal."""

    _sign = 1

    @property
    def sign(self) -> Any:
        """1: it increases."""
        return self._sign

    def _has_same_parameters(self, other: Any) -> bool:
        return True


class ExpTransform(_Elementwise):
    """y = exp(x)"""

    codomain: Constraint = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """x"""
        return x


class SigmoidTransform(_Elementwise):
    """y = 1 / (1 + exp(-x))"""

    codomain: Constraint = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log(y (1 - y))"""
        return logsigmoid(x) + logsigmoid(-x)


class SoftplusTransform(_Elementwise):
    """y = log(1 + exp(x))"""

    codomain: Constraint = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y + (-(-y).expm1()).log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log(sigmoid(x))"""
        return logsigmoid(x)


class TanhTransform(_Elementwise):
    """y = tanh(x)"""

    codomain: Constraint = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log(1 - tanh(x)^2), computed without overflow"""
        return 2 * (math.log(2) - x - softplus(-2 * x))


class AbsTransform(_Elementwise):
    """y = |x|, whose inverse takes the positive number."""

    bijective: bool = False
    codomain: Constraint = constraints.nonnegative

    @property
    def sign(self) -> Any:
        """Refused: it is not monotone."""
        return Transform.sign.fget(self)  # type: ignore[attr-defined]

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class PowerTransform(Transform):
    """y = x^exponent, of positive x."""

    domain: Constraint = constraints.positive
    codomain: Constraint = constraints.positive

    def __init__(self, exponent: Parameter, cache_size: int = 0):
        super().__init__(cache_size)
        self.exponent = exponent

    @property
    def sign(self) -> Any:
        """The sign of the exponent."""
        return _sign(self.exponent)

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |exponent y / x|"""
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of y for an x of this shape."""
        return _common_shape(shape, self.exponent)

    inverse_shape = forward_shape

    def _has_same_parameters(self, other: Any) -> bool:
        return _equal(self.exponent, other.exponent)


class AffineTransform(Transform):
    """y = loc + scale x

    Parameters
    ----------
    loc, scale : numbers or tensors
    event_dim : the dimensions of an event, whose parts' log |scale| are summed
    """

    def __init__(self, loc: Parameter, scale: Parameter, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        self.domain = self.codomain = (
            constraints.independent(constraints.real, event_dim) if event_dim else constraints.real
        )

    @property
    def sign(self) -> Any:
        """The sign of the scale."""
        return _sign(self.scale)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |scale|"""
        scale = self.scale
        logs = scale.abs().log() if isinstance(scale, Tensor) else math.log(abs(scale))
        return sum_rightmost(x.new_zeros(x.shape) + logs, self.event_dim)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of y for an x of this shape."""
        return _common_shape(shape, self.loc, self.scale)

    inverse_shape = forward_shape

    def _has_same_parameters(self, other: Any) -> bool:
        return _equal(self.loc, other.loc) and _equal(self.scale, other.scale)


class CumulativeDistributionTransform(Transform):
    """y = distribution.cdf(x)"""

    codomain: Constraint = constraints.unit_interval

    def __init__(self, distribution: Any, cache_size: int = 0):
        super().__init__(cache_size)
        self.distribution = distribution
        self.domain = distribution.support

    @property
    def sign(self) -> Any:
        """1: it increases."""
        return 1

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The distribution's log_prob of x."""
        return self.distribution.log_prob(x)


def _sign(value: Any) -> Any:
    return value.sign() if isinstance(value, Tensor) else math.copysign(1, value)


def _equal(one: Any, other: Any) -> bool:
    """Whether two parameters, numbers or tensors, are equal."""
    same = one == other
    return bool(same.all()) if isinstance(same, Tensor) else bool(same)


def _common_shape(shape: Sequence[int], *parameters: Any) -> Size:
    return Size(broadcast_shapes(tuple(shape), *(getattr(p, "shape", ()) for p in parameters)))
