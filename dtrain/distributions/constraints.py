"""Constraints: which values a parameter or a sample may have (torch.distributions.constraints)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dtrain.autograd.tensor import Tensor
from dtrain.functions import joining
from dtrain.linalg import cholesky_ex

__all__ = [
    "Constraint",
    "boolean",
    "dependent",
    "greater_than",
    "greater_than_eq",
    "half_open_interval",
    "independent",
    "integer_interval",
    "interval",
    "less_than",
    "lower_cholesky",
    "lower_triangular",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_definite",
    "positive_integer",
    "real",
    "real_vector",
    "simplex",
    "stack",
    "symmetric",
    "unit_interval",
]


class Constraint:
    """A set of values: `check(value)` says, for each event, whether the value lies in it.

    Parameters
    ----------
    name : how messages and `repr` call it
    check : tensor of shape (*batch, *event) -> bool tensor of shape (*batch,)
    event_dim : the number of dimensions of an event: 0 for numbers, 1 for vectors, 2 for matrices
    is_discrete : True if the set is countable
    """

    def __init__(
        self,
        name: str,
        check: Callable[[Tensor], Tensor],
        *,
        event_dim: int = 0,
        is_discrete: bool = False,
    ):
        self._name, self._check = name, check
        self.event_dim = event_dim
        self.is_discrete = is_discrete

    def check(self, value: Tensor) -> Tensor:
        """Whether each event of `value` lies in the set."""
        return self._check(value)

    def __repr__(self) -> str:
        return self._name


# --- numbers ---


def greater_than(lower_bound: Tensor | float) -> Constraint:
    """Numbers x > lower_bound."""
    return Constraint(f"GreaterThan(lower_bound={lower_bound})", lambda x: x > lower_bound)


def greater_than_eq(lower_bound: Tensor | float) -> Constraint:
    """Numbers x >= lower_bound."""
    return Constraint(f"GreaterThanEq(lower_bound={lower_bound})", lambda x: x >= lower_bound)


def less_than(upper_bound: Tensor | float) -> Constraint:
    """Numbers x < upper_bound."""
    return Constraint(f"LessThan(upper_bound={upper_bound})", lambda x: x < upper_bound)


def interval(lower_bound: Tensor | float, upper_bound: Tensor | float) -> Constraint:
    """Numbers lower_bound <= x <= upper_bound."""
    return Constraint(
        f"Interval(lower_bound={lower_bound}, upper_bound={upper_bound})",
        lambda x: (x >= lower_bound) & (x <= upper_bound),
    )


def half_open_interval(lower_bound: Tensor | float, upper_bound: Tensor | float) -> Constraint:
    """Numbers lower_bound <= x < upper_bound."""
    return Constraint(
        f"HalfOpenInterval(lower_bound={lower_bound}, upper_bound={upper_bound})",
        lambda x: (x >= lower_bound) & (x < upper_bound),
    )


def integer_interval(lower_bound: Tensor | int, upper_bound: Tensor | int) -> Constraint:
    """Integers lower_bound <= x <= upper_bound."""
    return Constraint(
        f"IntegerInterval(lower_bound={lower_bound}, upper_bound={upper_bound})",
        lambda x: (x % 1 == 0) & (x >= lower_bound) & (x <= upper_bound),
        is_discrete=True,
    )


def _integers_from(lower_bound: int) -> Constraint:
    return Constraint(
        f"IntegerGreaterThan(lower_bound={lower_bound})",
        lambda x: (x % 1 == 0) & (x >= lower_bound),
        is_discrete=True,
    )


real: Constraint = Constraint("Real()", lambda x: x == x)
positive: Constraint = greater_than(0.0)
nonnegative: Constraint = greater_than_eq(0.0)
unit_interval: Constraint = interval(0.0, 1.0)
boolean: Constraint = Constraint("Boolean()", lambda x: (x == 0) | (x == 1), is_discrete=True)
nonnegative_integer: Constraint = _integers_from(0)
positive_integer: Constraint = _integers_from(1)
#: A set that depends on other parameters: it is not checked.
dependent: Constraint = Constraint("Dependent()", lambda x: x == x)


# --- vectors ---


def independent(base: Constraint, reinterpreted_batch_ndims: int) -> Constraint:
    """Events of further dimensions, all of whose parts lie in `base`."""

    def check(x: Tensor) -> Tensor:
        inside = base.check(x)
        if inside.ndim < reinterpreted_batch_ndims:
            raise ValueError(
                f"{base}: expected a value of at least "
                f"{base.event_dim + reinterpreted_batch_ndims} dimensions, got shape {x.shape}"
            )
        for _ in range(reinterpreted_batch_ndims):
            inside = inside.all(-1)
        return inside

    return Constraint(
        f"IndependentConstraint({base}, {reinterpreted_batch_ndims})",
        check,
        event_dim=base.event_dim + reinterpreted_batch_ndims,
        is_discrete=base.is_discrete,
    )


def stack(parts: Sequence[Constraint], dim: int = 0) -> Constraint:
    """Values whose slices along `dim` lie in the constraints `parts`, in this order."""

    def check(x: Tensor) -> Tensor:
        slices = x.unbind(dim)
        return joining.stack([part.check(s) for part, s in zip(parts, slices)], dim)

    return Constraint(
        f"Stack({list(parts)}, dim={dim})",
        check,
        event_dim=max(part.event_dim for part in parts) + (dim < 0),
        is_discrete=any(part.is_discrete for part in parts),
    )


def _is_simplex(x: Tensor) -> Tensor:
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6 * max(1, x.shape[-1] ** 0.5))


def multinomial(upper_bound: int) -> Constraint:
    """Vectors of counts that sum to upper_bound."""
    return Constraint(
        f"Multinomial(upper_bound={upper_bound})",
        lambda x: (x >= 0).all(-1) & (x.sum(-1) <= upper_bound),
        event_dim=1,
        is_discrete=True,
    )


real_vector: Constraint = independent(real, 1)
simplex: Constraint = Constraint("Simplex()", _is_simplex, event_dim=1)
one_hot: Constraint = Constraint(
    "OneHot()",
    lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1),
    event_dim=1,
    is_discrete=True,
)


# --- matrices ---


def _is_lower_triangular(x: Tensor) -> Tensor:
    return (x.tril() == x).flatten(-2).all(-1)


def _is_symmetric(x: Tensor) -> Tensor:
    return x.isclose(x.mT, atol=1e-6).flatten(-2).all(-1)


def _is_positive_definite(x: Tensor) -> Tensor:
    return _is_symmetric(x) & (cholesky_ex(x.detach())[1] == 0)


lower_triangular: Constraint = Constraint("LowerTriangular()", _is_lower_triangular, event_dim=2)
lower_cholesky: Constraint = Constraint(
    "LowerCholesky()",
    lambda x: _is_lower_triangular(x) & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1),
    event_dim=2,
)
symmetric: Constraint = Constraint("Symmetric()", _is_symmetric, event_dim=2)
positive_definite: Constraint = Constraint("PositiveDefinite()", _is_positive_definite, event_dim=2)
