"""The normal distribution over vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.tensor import Tensor
from dtrain.backend.size import Size
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_normal
from dtrain.distributions.parameters import lazy_property, require_one
from dtrain.functions.creation import eye
from dtrain.functions.joining import broadcast_shapes
from dtrain.linalg import cholesky, solve_triangular


class MultivariateNormal(Distribution):
    """The normal distribution over vectors of n numbers.

    Parameters
    ----------
    loc : (*batch, n), the mean
    covariance_matrix : (*batch, n, n), positive definite
    precision_matrix : (*batch, n, n), the inverse of a covariance
    scale_tril : (*batch, n, n), the lower Cholesky factor of a covariance

    Exactly one of the three matrices is given.
    """

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    has_rsample = True
    loc: Tensor

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        matrices = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        require_one("MultivariateNormal", **matrices)
        name, matrix = next((n, m) for n, m in matrices.items() if m is not None)
        if loc.ndim < 1 or matrix.ndim < 2:
            raise ValueError(
                f"MultivariateNormal: expected loc of shape (*batch, n) and {name} of shape "
                f"(*batch, n, n), got {loc.shape} and {matrix.shape}"
            )
        batch = Size(broadcast_shapes(loc.shape[:-1], matrix.shape[:-2]))
        event = loc.shape[-1:]
        self.loc = loc.expand(batch + event)
        vars(self)[name] = matrix.expand(batch + matrix.shape[-2:])
        super().__init__(batch, event, validate_args=validate_args)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor L of the covariance L Lᵀ."""
        if "covariance_matrix" in vars(self):
            return cholesky(self.covariance_matrix)
        # P = U Uᵀ with U upper triangular: the flipped factor of the flipped P. Then L = U⁻ᵀ.
        upper = cholesky(self.precision_matrix.flip(-2, -1)).flip(-2, -1)
        n = upper.shape[-1]
        return solve_triangular(upper.mT, _identity(upper, n), upper=False)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        return self.scale_tril @ self.scale_tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        n = self.event_shape[0]
        inverse = solve_triangular(self.scale_tril, _identity(self.scale_tril, n), upper=False)
        return inverse.mT @ inverse

    @property
    def support(self) -> Constraint:
        """All vectors of real numbers."""
        return constraints.real_vector

    @property
    def mean(self) -> Tensor:
        """`loc`"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """`loc`"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance of each number: the diagonal of the covariance."""
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw with gradients to the parameters."""
        drawn = draw_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + (self.scale_tril @ drawn.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        n = self.event_shape[0]
        distance = squared_distance(self.scale_tril, value - self.loc)
        return -(n * math.log(2 * math.pi) + distance) / 2 - half_log_det(self.scale_tril)

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        n = self.event_shape[0]
        return half_log_det(self.scale_tril) + n * (1 + math.log(2 * math.pi)) / 2


def half_log_det(scale_tril: Tensor) -> Tensor:
    """Half of the logarithm of the determinant of L Lᵀ."""
    return scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def squared_distance(scale_tril: Tensor, difference: Tensor) -> Tensor:
    """dᵀ (L Lᵀ)⁻¹ d of vectors d (Mahalanobis)."""
    batch = broadcast_shapes(scale_tril.shape[:-2], difference.shape[:-1])
    scale_tril = scale_tril.expand(*batch, *scale_tril.shape[-2:])
    column = difference.expand(*batch, difference.shape[-1]).unsqueeze(-1)
    return solve_triangular(scale_tril, column, upper=False).squeeze(-1).square().sum(-1)


def _identity(like: Tensor, n: int) -> Tensor:
    return eye(n, dtype=like.dtype, device=like.device).expand(like.shape)
