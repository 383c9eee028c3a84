"""Transforms made of other transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.size import Size
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.transforms import Transform, sum_rightmost


class ComposeTransform(Transform):
    """`y = parts[-1](... parts[0](x))`"""

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0):
        super().__init__(cache_size)
        self.parts: list[Transform] = list(parts)
        self.bijective: bool = all(part.bijective for part in self.parts)
        self.domain: Constraint
        self.codomain: Constraint
        self.domain, self.codomain = self._ends()

    def _ends(self) -> tuple[Constraint, Constraint]:
        """The domain and codomain, with all dimensions of events that any part needs."""
        if not self.parts:
            return constraints.real, constraints.real
        domain, codomain = self.parts[0].domain, self.parts[-1].codomain
        before = codomain.event_dim  # going back from the last part
        for part in reversed(self.parts):
            before = max(part.domain.event_dim, before + _growth(part, -1))
        after = self.parts[0].domain.event_dim
        for part in self.parts:
            after = max(part.codomain.event_dim, after + _growth(part, 1))
        return _at_least(domain, before), _at_least(codomain, after)

    @property
    def sign(self) -> Any:
        """The product of the parts' signs."""
        sign: Any = 1
        for part in self.parts:
            sign = sign * part.sign
        return sign

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of the parts' logarithms."""
        if not self.parts:
            return x.new_zeros(x.shape)
        values = [x]
        for part in self.parts[:-1]:
            values.append(part(values[-1]))
        values.append(y)
        event_dim, terms = self.domain.event_dim, []
        for part, before, after in zip(self.parts, values, values[1:]):
            term = part.log_abs_det_jacobian(before, after)
            terms.append(sum_rightmost(term, event_dim - part.domain.event_dim))
            event_dim += _growth(part, 1)
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of y for an x of this shape."""
        for part in self.parts:
            shape = part.forward_shape(shape)
        return Size(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        """The shape of x for a y of this shape."""
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return Size(shape)

    def _has_same_parameters(self, other: Any) -> bool:
        return self.parts == other.parts

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts})"


def _growth(part: Transform, direction: int) -> int:
    return direction * (part.codomain.event_dim - part.domain.event_dim)


def _at_least(constraint: Constraint, event_dim: int) -> Constraint:
    missing = event_dim - constraint.event_dim
    return constraints.independent(constraint, missing) if missing > 0 else constraint


identity_transform: ComposeTransform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform whose last batch dimensions belong to an event: their logarithms are summed."""

    def __init__(
        self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0
    ):
        super().__init__(cache_size)
        self.base_transform = base_transform
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.bijective: bool = base_transform.bijective
        self.domain: Constraint
        self.codomain: Constraint
        self.domain, self.codomain = (
            constraints.independent(end, reinterpreted_batch_ndims)
            for end in (base_transform.domain, base_transform.codomain)
        )

    @property
    def sign(self) -> Any:
        """The sign of the transform."""
        return self.base_transform.sign

    def _call(self, x: Tensor) -> Tensor:
        self._require_event(x, self.domain)
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        self._require_event(y, self.codomain)
        return self.base_transform.inv(y)

    def _require_event(self, value: Tensor, end: Constraint) -> None:
        if value.ndim < end.event_dim:
            raise ValueError(
                f"{self!r}: expected a value of at least {end.event_dim} dimensions, "
                f"got shape {value.shape}"
            )

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over the dimensions that belong to the event."""
        parts = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(parts, self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of y for an x of this shape."""
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        """The shape of x for a y of this shape."""
        return self.base_transform.inverse_shape(shape)

    def __repr__(self) -> str:
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"
