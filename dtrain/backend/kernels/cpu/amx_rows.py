"""Rows of tiles and blocks of sums for implicit.py: copied, paired, added, transposed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from dtrain.backend.kernels.cpu.amx import ROW_BYTES, TILE_BYTES
from dtrain.backend.kernels.cpu.amx_pack import (
    LANES,
    MASK,
    NUMBERS,
    SIZE,
    WORD,
    WORDS,
    emit_mask,
    emit_store,
    emit_transpose,
    splat,
)


@intrinsic
def add_numbers(typing_context: Any, source: Any, target: Any) -> Any:
    """Add 16 float32 numbers at an address to those at another."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(a, NUMBERS.as_pointer()) for a in arguments)
        numbers = [builder.load(place, align=4) for place in (target, source)]
        builder.store(builder.fadd(*numbers), target, align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), build


@intrinsic
def copy_number(typing_context: Any, source: Any, target: Any) -> Any:
    """Copy the float32 number at an address to another."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(a, WORD.as_pointer()) for a in arguments)
        builder.store(builder.load(source), target)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), build


@intrinsic
def copy_row(typing_context: Any, source: Any, target: Any) -> Any:
    """Copy the 64 bytes of a tile's row from an address to another."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(a, WORDS.as_pointer()) for a in arguments)
        words = builder.load(source, align=ROW_BYTES)
        builder.store(words, target, align=ROW_BYTES)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), build


@intrinsic
def pair_rows(typing_context: Any, lower: Any, upper: Any, target: Any) -> Any:
    """Write a row of two tiles of a right factor, for the numbers k and k + 16.

    lower, upper : addresses of the rows of a left factor's tile for the lanes k and k + 16. Their
        numbers, of 32 lanes, become columns: 16 of the tile with the row `target`, 16 of the next
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = [builder.inttoptr(address, WORDS.as_pointer()) for address in arguments]
        a, b = (builder.load(place, align=ROW_BYTES) for place in places[:2])
        first = builder.or_(builder.and_(a, splat(0xFFFF)), builder.shl(b, splat(16)))
        second = builder.or_(builder.lshr(a, splat(16)), builder.and_(b, splat(0xFFFF0000)))
        builder.store(first, places[2], align=ROW_BYTES)
        after = builder.add(arguments[2], ir.Constant(SIZE, TILE_BYTES))
        builder.store(second, builder.inttoptr(after, WORDS.as_pointer()), align=ROW_BYTES)
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, n, n), build


def _define_transposer(module: Any) -> Any:
    """Define the function `add_transposed` of an LLVM module."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [SIZE] * 7), "add_transposed")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    source, stride, added, target, step, rows, columns = function.args
    added = builder.load(builder.inttoptr(added, NUMBERS.as_pointer()), align=4)
    numbers = []
    for _ in range(LANES):
        row = builder.load(builder.inttoptr(source, NUMBERS.as_pointer()), align=4)
        numbers.append(builder.fadd(row, added))
        source = builder.add(source, stride)
    mask, none = emit_mask(builder, rows), ir.Constant(MASK, 0)
    for i, column in enumerate(emit_transpose(builder, numbers)):
        is_inside = builder.icmp_signed(">", columns, ir.Constant(SIZE, i))
        emit_store(builder, column, target, builder.select(is_inside, mask, none))
        target = builder.add(target, step)
    builder.ret_void()
    return function


@intrinsic
def add_transposed(
    typing_context: Any, source: Any, stride: Any, added: Any, target: Any, step: Any, rows: Any,
    columns: Any,
) -> Any:  # fmt: skip
    """Write up to 16 x 16 numbers, plus a row `added` of 16, transposed. Strides are in bytes."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module = builder.module
        function = module.globals.get("add_transposed") or _define_transposer(module)
        builder.call(function, arguments)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), build
