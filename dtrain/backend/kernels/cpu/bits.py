"""The bits of numbers in compiled functions, float32 as int32 and float64 as int64.

Generated as LLVM's instructions: Numba compiles a function for each `view` of a number.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

_INTEGERS = {32: types.int32, 64: types.int64}
_FLOATS = {32: types.float32, 64: types.float64}


def _flip_below_zero(builder: Any, bits: Any) -> Any:
    """Emit bits with all but the sign inverted where the sign is set."""
    width = bits.type.width
    sign = builder.ashr(bits, bits.type(width - 1))
    return builder.xor(bits, builder.and_(sign, bits.type((1 << (width - 1)) - 1)))


@intrinsic
def from_bits(typing_context: Any, bits: Any) -> Any:
    """The number that has the bits of an integer."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return _FLOATS[bits.bitwidth](bits), build


@intrinsic
def to_ordered_int(typing_context: Any, x: Any) -> Any:
    """An integer made of the bits of a number, such that x < y has to_ordered_int(x) < that of y;
    NaN has the largest.

    LLVM vectorizes the maximum of integers, not that of floating-point numbers with NaN.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], context.get_value_type(signature.return_type))
        return _flip_below_zero(builder, bits)

    return _INTEGERS[x.bitwidth](x), build


@intrinsic
def from_ordered_int(typing_context: Any, n: Any) -> Any:
    """The number of which `to_ordered_int` gives n."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = _flip_below_zero(builder, arguments[0])
        return builder.bitcast(bits, context.get_value_type(signature.return_type))

    return _FLOATS[n.bitwidth](n), build
