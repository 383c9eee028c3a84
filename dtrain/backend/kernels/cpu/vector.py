"""Vectors of 16 float32 in compiled functions: `load`, `store`, +, -, *, and a transposition.

Loops over several arrays, or over places with a stride, are not made into vector code by the
compiler itself. A processor whose registers are shorter takes two or four for one of these.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import types
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_FUSED = ("contract", "nsz")


class Float32x16(types.Type):
    """The type of a vector."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


float32x16 = Float32x16()


@register_model(Float32x16)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _VECTOR)


def _pointer(context, builder, array_type, array, index):
    """The address of an element of a flat array, as that of a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _load(builder, pointer):
    value = builder.load(pointer)
    value.align = 4
    return value


def _store(builder, value, pointer):
    builder.store(value, pointer).align = 4


@intrinsic
def load(typing_context, array, index):
    """The 16 elements of a flat float32 array from `index` on."""

    def build(context, builder, signature, arguments):
        return _load(builder, _pointer(context, builder, signature.args[0], *arguments))

    return float32x16(array, types.intp), build


@intrinsic
def store(typing_context, array, index, vector):
    """Write a vector into a flat float32 array, from `index` on."""

    def build(context, builder, signature, arguments):
        array, index, vector = arguments
        _store(builder, vector, _pointer(context, builder, signature.args[0], array, index))
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), build


@intrinsic
def transpose(typing_context, source, at, source_step, target, to, target_step):
    """Write 16 rows of 16 elements, `source_step` apart, as columns, `target_step` apart."""

    def build(context, builder, signature, arguments):
        source, at, source_step, target, to, target_step = arguments

        def place(which, array, start, step, row):
            index = builder.add(start, builder.mul(step, context.get_constant(types.intp, row)))
            return _pointer(context, builder, signature.args[which], array, index)

        rows = [_load(builder, place(0, source, at, source_step, i)) for i in range(LANES)]
        for width in (8, 4, 2, 1):  # exchange the blocks beside the diagonal, ever smaller ones
            for i in (i for i in range(LANES) if not i & width):
                above, below = rows[i], rows[i + width]
                left = [j + LANES - width if j & width else j for j in range(LANES)]
                right = [j + LANES if j & width else j + width for j in range(LANES)]
                rows[i] = _shuffle(builder, above, below, left)
                rows[i + width] = _shuffle(builder, above, below, right)
        for i, row in enumerate(rows):
            _store(builder, row, place(3, target, to, target_step, i))
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, target, n, n), build


def _shuffle(builder, x, y, lanes):
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)
    return builder.shuffle_vector(x, y, mask)


def _bind(function, instruction):
    @infer_global(function)
    class _Typing(ConcreteTemplate):
        cases = [signature(float32x16, float32x16, float32x16)]  # noqa: RUF012

    @lower_builtin(function, Float32x16, Float32x16)
    def build(context, builder, signature, arguments):
        return getattr(builder, instruction)(*arguments, flags=_FUSED)


for _function, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub")):
    _bind(_function, _instruction)


@infer_global(operator.mul)
class _ScaleTyping(ConcreteTemplate):
    cases = [signature(float32x16, types.float32, float32x16)]  # noqa: RUF012


@lower_builtin(operator.mul, types.float32, Float32x16)
def _scale(context, builder, signature, arguments):
    number, vector = arguments
    lanes = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
    )
    splat = _shuffle(builder, lanes, lanes, [0] * LANES)
    return builder.fmul(splat, vector, flags=_FUSED)
