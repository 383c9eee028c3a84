"""Vectors of 16 float32 in compiled functions: `load`, `store`, +, -, scaling and `transpose`.

For loops that LLVM does not vectorize: over several arrays, or with a stride. On a processor with
shorter registers LLVM uses two or four of them for a vector.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.core.typing.templates import ConcreteTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
VECTOR = ir.VectorType(ir.FloatType(), LANES)
FUSED = ("contract", "nsz")


class Float32x16(types.Type):
    """Numba's type of a vector; its values are LLVM vectors."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


float32x16 = Float32x16()


@register_model(Float32x16)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, VECTOR)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """The address of element `index` of a flat array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def emit_load(builder: Any, element: Any) -> Any:
    """Emit a load of the vector that begins at the address of an element."""
    value = builder.load(builder.bitcast(element, VECTOR.as_pointer()))
    value.align = 4
    return value


def emit_store(builder: Any, value: Any, element: Any) -> None:
    """Emit a store of a vector to the address of an element."""
    builder.store(value, builder.bitcast(element, VECTOR.as_pointer())).align = 4


def emit_splat(builder: Any, number: Any) -> Any:
    """Emit a vector of one number."""
    lanes = builder.insert_element(
        ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
    )
    return _shuffle(builder, lanes, lanes, [0] * LANES)


def emit_multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Emit x y + z."""
    return builder.fadd(builder.fmul(x, y, flags=FUSED), z, flags=FUSED)


def emit_add_lanes(builder: Any, vector: Any) -> Any:
    """Emit the sum of the elements: of both halves, of the halves of that, to the last two."""
    for width in (8, 4, 2, 1):
        above = _shuffle(builder, vector, vector, [(i + width) % LANES for i in range(LANES)])
        vector = builder.fadd(vector, above, flags=FUSED)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Load elements index .. index + 15 of a flat float32 array."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit_load(builder, _pointer(context, builder, signature.args[0], *arguments))

    return float32x16(array, types.intp), build


@intrinsic
def store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Store a vector to elements index .. index + 15 of a flat float32 array."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, vector = arguments
        emit_store(builder, vector, _pointer(context, builder, signature.args[0], array, index))
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), build


def loader(count: int) -> Any:
    """The function that loads `count` vectors, `step` elements apart, from index `at` on."""

    @intrinsic
    def load_each(typing_context: Any, array: Any, at: Any, step: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, at, step = arguments
            vectors = []
            for _ in range(count):
                vectors.append(
                    emit_load(builder, _pointer(context, builder, signature.args[0], array, at))
                )
                at = builder.add(at, step)
            return context.make_tuple(builder, signature.return_type, vectors)

        return types.UniTuple(float32x16, count)(array, types.intp, types.intp), build

    return load_each


def storer(count: int) -> Any:
    """The function that stores a tuple of `count` vectors, as `loader` loads them."""

    @intrinsic
    def store_each(typing_context: Any, array: Any, at: Any, step: Any, vectors: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, at, step, vectors = arguments
            for vector in cgutils.unpack_tuple(builder, vectors, count):
                element = _pointer(context, builder, signature.args[0], array, at)
                emit_store(builder, vector, element)
                at = builder.add(at, step)
            return context.get_dummy_value()

        vectors = types.UniTuple(float32x16, count)
        return types.void(array, types.intp, types.intp, vectors), build

    return store_each


_NEVER = (1 << 31) - 1  # not less than any number of elements


def lane_copier(step: int, by: int, adds: bool = False) -> Any:
    """The function that copies, or adds, `count` elements, at most 16, between flat float32 arrays,
    `step` apart to `by` apart."""

    @intrinsic
    def copy(typing_context: Any, source: Any, at: Any, target: Any, to: Any, count: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, at, target, to, count = arguments
            count = builder.trunc(count, ir.IntType(32))
            lanes = range(LANES)
            vector = ir.Constant(VECTOR, ir.Undefined)
            for first in range(0, step * LANES, LANES):
                index = builder.add(at, context.get_constant(types.intp, first))
                place = _pointer(context, builder, signature.args[0], source, index)
                needed = [-(-(first + i) // step) for i in lanes]
                part = _load_masked(builder, place, _is_less(builder, needed, count))
                here = [i * step - first for i in lanes]
                chosen = [LANES + k if 0 <= k < LANES else i for i, k in enumerate(here)]
                vector = _shuffle(builder, vector, part, chosen)
            for first in range(0, by * LANES, LANES):
                index = builder.add(to, context.get_constant(types.intp, first))
                place = _pointer(context, builder, signature.args[2], target, index)
                made = [(first + i) // by for i in lanes]
                mask = [k if (first + i) % by == 0 else _NEVER for i, k in enumerate(made)]
                part, there = (
                    _shuffle(builder, vector, vector, made),
                    _is_less(builder, mask, count),
                )
                if adds:
                    part = builder.fadd(part, _load_masked(builder, place, there))
                _store_masked(builder, part, place, there)
            return context.get_dummy_value()

        n = types.intp
        return types.void(source, n, target, n, n), build

    return copy


def _is_less(builder: Any, numbers: Any, limit: Any) -> Any:
    """Emit the mask of the lanes whose number is less than the 32-bit limit."""
    lanes = ir.VectorType(limit.type, LANES)
    limits = builder.insert_element(
        ir.Constant(lanes, ir.Undefined), limit, ir.Constant(limit.type, 0)
    )
    limits = _shuffle(builder, limits, limits, [0] * LANES)
    return builder.icmp_signed("<", ir.Constant(lanes, list(numbers)), limits)


def _load_masked(builder: Any, element: Any, mask: Any) -> Any:
    """Emit a load of the lanes of the mask; the other elements are not read, and 0."""
    pointer, align = VECTOR.as_pointer(), ir.Constant(ir.IntType(32), 4)
    of = ir.FunctionType(VECTOR, [pointer, align.type, mask.type, VECTOR])
    load = cgutils.get_or_insert_function(builder.module, of, "llvm.masked.load.v16f32.p0")
    zeros = ir.Constant(VECTOR, None)
    return builder.call(load, [builder.bitcast(element, pointer), align, mask, zeros])


def _store_masked(builder: Any, value: Any, element: Any, mask: Any) -> None:
    """Emit a store of the lanes of the mask."""
    pointer, align = VECTOR.as_pointer(), ir.Constant(ir.IntType(32), 4)
    of = ir.FunctionType(ir.VoidType(), [VECTOR, pointer, align.type, mask.type])
    store = cgutils.get_or_insert_function(builder.module, of, "llvm.masked.store.v16f32.p0")
    builder.call(store, [value, builder.bitcast(element, pointer), align, mask])


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

        rows = [
            emit_load(builder, row_pointer(0, source, at, source_step, i)) for i in range(LANES)
        ]
        for width in (8, 4, 2, 1):  # swap the off-diagonal blocks, 8 by 8 to 1 by 1
            for i in (i for i in range(LANES) if not i & width):
                above, below = rows[i], rows[i + width]
                left = [j + LANES - width if j & width else j for j in range(LANES)]
                right = [j + LANES if j & width else j + width for j in range(LANES)]
                rows[i] = _shuffle(builder, above, below, left)
                rows[i + width] = _shuffle(builder, above, below, right)
        for i, row in enumerate(rows):
            emit_store(builder, row, row_pointer(3, target, to, target_step, i))
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, target, n, n), build


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
        return getattr(builder, instruction)(*arguments, flags=FUSED)


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
    return builder.fmul(emit_splat(builder, number), vector, flags=FUSED)
