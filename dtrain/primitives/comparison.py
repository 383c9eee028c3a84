"""Comparisons, truth values and bits; none of them has a gradient."""

from __future__ import annotations

from dtrain.autograd.op import exact_op, op
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import is_floating


def _of_one(name: str, text: str):
    def rule(x: Array):
        return getattr(array_module(x), name)(x), ()

    rule.__name__, rule.__doc__ = name, text
    return exact_op(rule)


isnan = _of_one("isnan", "Whether each is NaN.")
isinf = _of_one("isinf", "Whether each is infinite.")
isfinite = _of_one("isfinite", "Whether each is neither NaN nor infinite.")
logical_not = _of_one("logical_not", "Whether each is zero or False.")


@exact_op
def signbit(x: Array):
    """Whether each is negative; of floats whether the bit of the sign is set, as in -0.0."""
    return array_module(x).signbit(x) if is_floating(x.dtype) else x < 0, ()


@exact_op
def invert(x: Array):
    """Each bit, or each truth value, turned over."""
    return ~x, ()


def _of_two(name: str, numpy_name: str):
    def rule(x: Array, y: Array):
        return getattr(array_module(x, y), numpy_name)(x, y), ()

    rule.__name__, rule.__doc__ = name, f"numpy.{numpy_name} of each pair."
    return exact_op(rule)


eq = _of_two("eq", "equal")
ne = _of_two("ne", "not_equal")
lt = _of_two("lt", "less")
le = _of_two("le", "less_equal")
gt = _of_two("gt", "greater")
ge = _of_two("ge", "greater_equal")
logical_and = _of_two("logical_and", "logical_and")
logical_or = _of_two("logical_or", "logical_or")
logical_xor = _of_two("logical_xor", "logical_xor")
bitwise_and = _of_two("bitwise_and", "bitwise_and")
bitwise_or = _of_two("bitwise_or", "bitwise_or")
bitwise_xor = _of_two("bitwise_xor", "bitwise_xor")
bitwise_left_shift = _of_two("bitwise_left_shift", "left_shift")
bitwise_right_shift = _of_two("bitwise_right_shift", "right_shift")


@op
def isclose(x: Array, y: Array, *, rtol: float, atol: float, equal_nan: bool):
    """Whether |x - y| <= atol + rtol * |y|, or both are the same infinity, or NaN if so wished."""
    xp = array_module(x, y)
    x, y = xp.asarray(x), xp.asarray(y)
    if not is_floating(x.dtype):
        x, y = x.astype("float64"), y.astype("float64")
    near = (xp.abs(x - y) <= atol + rtol * xp.abs(y)) & xp.isfinite(y)
    near = near | (x == y)
    return near | ((x != x) & (y != y)) if equal_nan else near, ()
