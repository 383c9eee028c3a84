"""Comparisons, truth values and bits; none of them has a gradient."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.autograd.op import exact_op, op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_floating, is_inexact


def _unary(name: str, text: str) -> Callable[[Array], Tensor]:
    """Make the primitive `name`: NumPy's function of each element, without gradient."""

    def rule(x: Array) -> OutputAndVJPs:
        return getattr(array_module(x), name)(x), ()

    rule.__name__, rule.__doc__ = name, text
    return exact_op(takes_complex=True)(rule)


isnan: Callable[[Array], Tensor] = _unary("isnan", "Whether each is NaN.")
isinf: Callable[[Array], Tensor] = _unary("isinf", "Whether each is infinite.")
isfinite: Callable[[Array], Tensor] = _unary(
    "isfinite", "Whether each is neither NaN nor infinite."
)
logical_not: Callable[[Array], Tensor] = _unary("logical_not", "Whether each is zero or False.")


@exact_op
def signbit(x: Array) -> OutputAndVJPs:
    """Whether each is negative; of floats whether the bit of the sign is set, as in -0.0."""
    return array_module(x).signbit(x) if is_floating(x.dtype) else x < 0, ()


@exact_op
def invert(x: Array) -> OutputAndVJPs:
    """Each bit inverted, or each truth value negated."""
    return ~x, ()


def _binary(
    name: str, numpy_name: str, takes_complex: bool = False
) -> Callable[[Array, Array], Tensor]:
    """Make the primitive `name`: NumPy's function of each pair of elements, without gradient."""

    def rule(x: Array, y: Array) -> OutputAndVJPs:
        return getattr(array_module(x, y), numpy_name)(x, y), ()

    rule.__name__, rule.__doc__ = name, f"numpy.{numpy_name} of each pair."
    return exact_op(takes_complex=takes_complex)(rule)


eq: Callable[[Array, Array], Tensor] = _binary("eq", "equal", takes_complex=True)
ne: Callable[[Array, Array], Tensor] = _binary("ne", "not_equal", takes_complex=True)
lt: Callable[[Array, Array], Tensor] = _binary("lt", "less")
le: Callable[[Array, Array], Tensor] = _binary("le", "less_equal")
gt: Callable[[Array, Array], Tensor] = _binary("gt", "greater")
ge: Callable[[Array, Array], Tensor] = _binary("ge", "greater_equal")
logical_and: Callable[[Array, Array], Tensor] = _binary(
    "logical_and", "logical_and", takes_complex=True
)
logical_or: Callable[[Array, Array], Tensor] = _binary(
    "logical_or", "logical_or", takes_complex=True
)
logical_xor: Callable[[Array, Array], Tensor] = _binary(
    "logical_xor", "logical_xor", takes_complex=True
)
bitwise_and: Callable[[Array, Array], Tensor] = _binary("bitwise_and", "bitwise_and")
bitwise_or: Callable[[Array, Array], Tensor] = _binary("bitwise_or", "bitwise_or")
bitwise_xor: Callable[[Array, Array], Tensor] = _binary("bitwise_xor", "bitwise_xor")
bitwise_left_shift: Callable[[Array, Array], Tensor] = _binary("bitwise_left_shift", "left_shift")
bitwise_right_shift: Callable[[Array, Array], Tensor] = _binary(
    "bitwise_right_shift", "right_shift"
)


@op(takes_complex=True)
def isclose(x: Array, y: Array, *, rtol: float, atol: float, equal_nan: bool) -> OutputAndVJPs:
    """|x - y| <= atol + rtol |y|, or equal infinities; with `equal_nan` NaN equals NaN."""
    xp = array_module(x, y)
    x, y = xp.asarray(x), xp.asarray(y)
    if not is_inexact(x.dtype):
        x, y = x.astype("float64"), y.astype("float64")
    near = (xp.abs(x - y) <= atol + rtol * xp.abs(y)) & xp.isfinite(y)
    near = near | (x == y)
    return near | ((x != x) & (y != y)) if equal_nan else near, ()
