"""Vectors of 16 float32 in compiled functions: `load`, `store`, +, -, scaling and `transpose`.

For loops that LLVM does not vectorize: over several arrays, or with a stride. On a processor with
shorter registers LLVM uses two or four of them for a vector.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_FUSED = ("contract", "nsz")


class Float32x16(types.Type):
    """Numba's type of a vector; its values are LLVM vectors."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


float32x16 = Float32x16()


@register_model(Float32x16)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """The address of element `index` of a flat array, as the address of a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _load(builder: Any, pointer: Any) -> Any:
    """Emit a load from an address that is aligned to one element alone."""
    value = builder.load(pointer)
    value.align = 4
    return value


def _store(builder: Any, value: Any, pointer: Any) -> None:
    """Emit a store to an address that is aligned to one element alone."""
    builder.store(value, pointer).align = 4


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Load elements index .. index + 15 of a flat float32 array."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, _pointer(context, builder, signature.args[0], *arguments))

    return float32x16(array, types.intp), build


@intrinsic
def store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Store a vector to elements index .. index + 15 of a flat float32 array."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, vector = arguments
        _store(builder, vector, _pointer(context, builder, signature.args[0], array, index))
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), build


@intrinsic
def transpose(
    typing_context: Any,
    source: Any,
    at: Any,
    source_step: Any,
    target: Any,
    to: Any,
    target_step: Any,
) -> Any:
    """Transpose a block of 16 by 16 float32 elements between two flat arrays.

    Row i is read from element at + i source_step on, column i written from to + i target_step on.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, at, source_step, target, to, target_step = arguments

        def row_pointer(which: Any, array: Any, start: Any, step: Any, row: Any) -> Any:
            index = builder.add(start, builder.mul(step, context.get_constant(types.intp, row)))
            return _pointer(context, builder, signature.args[which], array, index)

        rows = [_load(builder, row_pointer(0, source, at, source_step, i)) for i in range(LANES)]
        for width in (8, 4, 2, 1):  # swap the off-diagonal blocks, 8 by 8 to 1 by 1
            for i in (i for i in range(LANES) if not i & width):
                above, below = rows[i], rows[i + width]
                left = [j + LANES - width if j & width else j for j in range(LANES)]
                right = [j + LANES if j & width else j + width for j in range(LANES)]
                rows[i] = _shuffle(builder, above, below, left)
                rows[i + width] = _shuffle(builder, above, below, right)
        for i, row in enumerate(rows):
            _store(builder, row, row_pointer(3, target, to, target_step, i))
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, target, n, n), build


@intrinsic
def add_lanes(typing_context: Any, vector: Any) -> Any:
    """The sum of the 16 elements: of the halves, then of the halves of that, to the last two."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (vector,) = arguments
        for width in (8, 4, 2, 1):
            above = _shuffle(builder, vector, vector, [(i + width) % LANES for i in range(LANES)])
            vector = builder.fadd(vector, above, flags=_FUSED)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(vector), build


def _shuffle(builder: Any, x: Any, y: Any, lanes: Any) -> Any:
    """Emit the vector of the elements `lanes` of x (0 .. 15) and y (16 .. 31)."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)
    return builder.shuffle_vector(x, y, mask)


def _define_operator(function: Any, instruction: Any) -> None:
    """Let Numba compile function(vector, vector), such as operator.add, to an LLVM instruction."""

    @infer_global(function)
    class _Typing(ConcreteTemplate):
        cases = [signature(float32x16, float32x16, float32x16)]  # noqa: RUF012

    @lower_builtin(function, Float32x16, Float32x16)
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=_FUSED)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")


@infer_global(operator.mul)
class _ScaleTyping(ConcreteTemplate):
    cases = [signature(float32x16, types.float32, float32x16)]  # noqa: RUF012


@lower_builtin(operator.mul, types.float32, Float32x16)
def _scale(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit number * vector."""
    number, vector = arguments
    lanes = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
    )
    splat = _shuffle(builder, lanes, lanes, [0] * LANES)
    return builder.fmul(splat, vector, flags=_FUSED)
