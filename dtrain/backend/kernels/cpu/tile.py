"""Tiles of products of a matrix of numbers and a matrix of vectors, with all sums in registers.

The sums of a tile are R times V vectors of 16 float32; each step loads V vectors and R numbers for
R V products. AVX-512 has 32 registers: 8 by 3, or 4 by 6, leave room for the operands. A sum's
order does not depend on the tile. `tile` generates the function of a size for compiled loops.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from dtrain.backend.kernels.cpu.vector import (
    FUSED,
    LANES,
    VECTOR,
    emit_add_lanes,
    emit_load,
    emit_multiply_add,
    emit_splat,
    emit_store,
)


class _Emitter:
    """Integers and elements of flat arrays, while Numba generates a function's body."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any):
        self.builder, self.arguments = builder, arguments
        self.intp = context.get_value_type(types.intp)
        self._arrays = {
            k: context.make_array(of_type)(context, builder, arguments[k]).data
            for k, of_type in enumerate(signature.args)
            if isinstance(of_type, types.Array)
        }

    def plus(self, x: Any, y: Any, factor: Any = 1) -> Any:
        """x + factor y, where factor is a number now."""
        y = y if isinstance(y, ir.Value) else ir.Constant(self.intp, y)
        y = y if factor == 1 else self.builder.mul(y, ir.Constant(self.intp, factor))
        return self.builder.add(x, y)

    def element(self, argument: int, index: Any) -> Any:
        """The address of an element of an argument."""
        return self.builder.gep(self._arrays[argument], [index])

    def load(self, argument: int, index: Any) -> Any:
        """Load an element of an argument."""
        return self.builder.load(self.element(argument, index))

    def load_vector(self, argument: int, index: Any) -> Any:
        """Load the vector that begins at an element of an argument."""
        return emit_load(self.builder, self.element(argument, index))

    def accumulate(self, count: Any, size: int, add: Callable[[Any, list], list]) -> list[Any]:
        """Emit a loop over `count` steps that starts from `size` vectors of zeros and takes
        add(step, sums) for the next ones; returns the last. It is not unrolled: a step is long."""
        builder = self.builder
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("tile", "tile.end"))
        zero = ir.Constant(VECTOR, None)
        nothing = builder.icmp_signed("<=", count, ir.Constant(self.intp, 0))
        builder.cbranch(nothing, after, loop)
        builder.position_at_end(loop)
        step = builder.phi(self.intp)
        step.add_incoming(ir.Constant(self.intp, 0), before)
        sums = [builder.phi(VECTOR) for _ in range(size)]
        made = add(step, sums)
        for total, value in zip(sums, made):
            total.add_incoming(zero, before)
            total.add_incoming(value, loop)
        next_step = builder.add(step, ir.Constant(self.intp, 1))
        step.add_incoming(next_step, loop)
        branch = builder.cbranch(builder.icmp_signed("<", next_step, count), loop, after)
        branch.set_metadata("llvm.loop", _not_unrolled(builder.module))
        builder.position_at_end(after)
        results = [builder.phi(VECTOR) for _ in range(size)]
        for result, value in zip(results, made):
            result.add_incoming(zero, before)
            result.add_incoming(value, loop)
        return results


def _not_unrolled(module: Any) -> Any:
    """The metadata of a loop that is not to be unrolled."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    return module.add_metadata([disable, disable])


def weighted_sums(rows: int, vectors: int) -> Any:
    """The function of a tile of sums over `taps`, for arrays and indices of flat arrays:

    out[to + starts_out[e + v] + r row_step + lane] =
        the sum over t of weight[first + t rows + r] x[starts[e + v] + shifts[begin + t] + lane]

    and bias[at + r], or, where `adds`, and out's elements.
    """

    @intrinsic
    def sums(
        typing_context: Any, weight: Any, first: Any, x: Any, starts: Any, e: Any, shifts: Any,
        begin: Any, taps: Any, adds: Any, bias: Any, at: Any, out: Any, to: Any, starts_out: Any,
        row_step: Any,
    ) -> Any:  # fmt: skip
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit = _Emitter(context, builder, signature, arguments)
            _, first, _, _, e, _, begin, taps, adds, _, at, _, to, _, row_step = arguments
            places = [emit.load(3, emit.plus(e, v)) for v in range(vectors)]

            def add(t: Any, sums: list) -> list:
                shift = emit.load(5, emit.plus(begin, t))
                loaded = [emit.load_vector(2, builder.add(place, shift)) for place in places]
                numbers = emit.plus(first, t, rows)
                splats = [
                    emit_splat(builder, emit.load(0, emit.plus(numbers, r))) for r in range(rows)
                ]
                products = itertools.product(splats, loaded)
                return [emit_multiply_add(builder, *xy, z) for xy, z in zip(products, sums)]

            totals = emit.accumulate(taps, rows * vectors, add)
            biases = [emit_splat(builder, emit.load(9, emit.plus(at, r))) for r in range(rows)]
            for v in range(vectors):
                start = builder.add(to, emit.load(13, emit.plus(e, v)))
                for r in range(rows):
                    place = emit.element(11, emit.plus(start, row_step, r))
                    before = builder.select(adds, emit_load(builder, place), biases[r])
                    total = builder.fadd(totals[r * vectors + v], before, flags=FUSED)
                    emit_store(builder, total, place)
            return context.get_dummy_value()

        n = types.intp
        return types.void(
            weight, n, x, starts, n, shifts, n, n, types.boolean, bias, n, out, n,
            starts_out, n
        ), build  # fmt: skip

    return sums


def products(rows: int, vectors: int) -> Any:
    """The function of a tile of a product of matrices in flat arrays:

    out[to + r out_step + 16 v + lane] =
        the sum over t < count of a[at + r a_step + t] b[bt + 16 (t vectors + v) + lane]

    and, where `adds`, out's elements.
    """

    @intrinsic
    def sums(
        typing_context: Any, a: Any, at: Any, a_step: Any, b: Any, bt: Any, count: Any, adds: Any,
        out: Any, to: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit = _Emitter(context, builder, signature, arguments)
            _, at, a_step, _, bt, count, adds, _, to, out_step = arguments
            lines = [emit.plus(at, a_step, r) for r in range(rows)]

            def add(t: Any, sums: list) -> list:
                place = emit.plus(bt, t, LANES * vectors)
                loaded = [emit.load_vector(3, emit.plus(place, LANES * v)) for v in range(vectors)]
                splats = [emit_splat(builder, emit.load(0, builder.add(line, t))) for line in lines]
                pairs = itertools.product(splats, loaded)
                return [emit_multiply_add(builder, *xy, z) for xy, z in zip(pairs, sums)]

            totals = emit.accumulate(count, rows * vectors, add)
            for r, v in itertools.product(range(rows), range(vectors)):
                place = emit.element(7, emit.plus(emit.plus(to, out_step, r), LANES * v))
                before = builder.select(adds, emit_load(builder, place), ir.Constant(VECTOR, None))
                total = builder.fadd(totals[r * vectors + v], before, flags=FUSED)
                emit_store(builder, total, place)
            return context.get_dummy_value()

        n = types.intp
        return types.void(a, n, n, b, n, n, types.boolean, out, n, n), build

    return sums


def correlations(rows: int, taps: int) -> Any:
    """The function of a tile of sums over the 16 elements of each of `count` vectors:

    out[to + r row_step + t] += the sum over e and the lanes of
        g[at + r g_step + 16 e + lane] x[starts[e] + shifts[s + t] + lane]
    """

    @intrinsic
    def sums(
        typing_context: Any, g: Any, at: Any, g_step: Any, x: Any, starts: Any, count: Any,
        shifts: Any, s: Any, out: Any, to: Any, row_step: Any,
    ) -> Any:  # fmt: skip
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit = _Emitter(context, builder, signature, arguments)
            _, at, g_step, _, _, count, _, s, _, to, row_step = arguments
            places = [emit.load(6, emit.plus(s, t)) for t in range(taps)]
            lines = [emit.plus(at, g_step, r) for r in range(rows)]

            def add(e: Any, sums: list) -> list:
                start = emit.load(4, e)
                across = builder.mul(e, ir.Constant(emit.intp, LANES))
                loaded = [emit.load_vector(0, builder.add(line, across)) for line in lines]
                vectors = [emit.load_vector(3, builder.add(start, place)) for place in places]
                products = itertools.product(loaded, vectors)
                return [emit_multiply_add(builder, *xy, z) for xy, z in zip(products, sums)]

            totals = emit.accumulate(count, rows * taps, add)
            for r in range(rows):
                for t in range(taps):
                    total = emit_add_lanes(builder, totals[r * taps + t])
                    place = emit.element(8, emit.plus(emit.plus(to, row_step, r), t))
                    builder.store(builder.fadd(builder.load(place), total), place)
            return context.get_dummy_value()

        n = types.intp
        return types.void(g, n, n, x, starts, n, shifts, n, out, n, n), build

    return sums
