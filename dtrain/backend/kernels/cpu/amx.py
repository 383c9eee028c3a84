"""Instructions of Intel's AMX in compiled functions: products of tiles of bfloat16 numbers.

A processor with AMX has eight registers of 16 rows of 64 bytes, 0 .. 7, and multiplies 16 x 32
bfloat16 numbers with 32 x 16 of them in one instruction, with sums in float32: 16 times as many
products in a cycle as AVX-512 makes of float32 numbers. (Intel 64 and IA-32 Architectures
Software Developer's Manual, volume 1, chapter 18)
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

ROWS = 16  # of a tile
ROW_BYTES = 64
TILE_BYTES = ROWS * ROW_BYTES

_BYTE, _INT, _VOID = ir.IntType(8), ir.IntType(64), ir.VoidType()
_POINTER = _BYTE.as_pointer()
#: Linux's arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): a process asks for the registers.
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@functools.cache
def is_available() -> bool:
    """Whether Numba compiles for a processor with AMX, and the kernel lets this process use it."""
    features = llvmlite.binding.get_host_cpu_features()
    if numba.config.CPU_NAME or not (features.get("amx-tile") and features.get("amx-bf16")):
        return False
    system = ctypes.CDLL(None)
    return system.syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0


def tile_configuration() -> np.ndarray:
    """What `configure` loads: all eight registers have 16 rows of 64 bytes."""
    fields = np.zeros(64, np.uint8)
    fields[0] = 1  # the palette
    fields[16:32:2] = ROW_BYTES
    fields[48:56] = ROWS
    return fields


def _emit(builder: Any, name: str, *arguments: Any) -> None:
    """Emit a call of LLVM's intrinsic llvm.x86.`name`."""
    of = ir.FunctionType(_VOID, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, of, f"llvm.x86.{name}")
    builder.call(function, arguments)


def _register(number: Any) -> Any:
    """The constant operand of a register whose number is a literal of Numba's."""
    return ir.Constant(_BYTE, number.literal_value)


@intrinsic
def configure(typing_context: Any, address: Any) -> Any:
    """Load a `tile_configuration`; before all other instructions."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _emit(builder, "ldtilecfg", builder.inttoptr(arguments[0], _POINTER))
        return context.get_dummy_value()

    return types.void(types.intp), build


@intrinsic
def release(typing_context: Any) -> Any:
    """Give the registers back: the system then need not save them."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _emit(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), build


@intrinsic(prefer_literal=True)
def clear_tile(typing_context: Any, tile: Any) -> Any:
    """Fill a register with zeros."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _emit(builder, "tilezero", _register(tile))
        return context.get_dummy_value()

    return types.void(tile), build


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Have the cache line of an address, which will be written, brought to the first cache."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        of = ir.FunctionType(_VOID, [_POINTER, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, of, "llvm.prefetch.p0")
        options = [ir.Constant(word, value) for value in (1, 3, 1)]  # to write, keep, data
        builder.call(function, [builder.inttoptr(arguments[0], _POINTER), *options])
        return context.get_dummy_value()

    return types.void(types.intp), build


def _mover(name: str) -> Any:
    """The function (tile, address, stride in bytes) of an instruction that moves a register."""

    @intrinsic(prefer_literal=True)
    def move(typing_context: Any, tile: Any, address: Any, stride: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[1], _POINTER)
            _emit(builder, name, _register(tile), pointer, arguments[2])
            return context.get_dummy_value()

        return types.void(tile, types.intp, types.intp), build

    return move


#: Load the 16 rows of a register from memory; store them.
load_tile, store_tile = _mover("tileloadd64"), _mover("tilestored64")


@intrinsic(prefer_literal=True)
def add_product(typing_context: Any, sums: Any, left: Any, right: Any) -> Any:
    """sums += left @ right, of registers.

    Row i of left has 16 pairs of bfloat16 numbers, row r of right 16 columns' pairs; the pairs r
    are multiplied. The products of a pair's first numbers are added in the order of r, those of the
    second ones apart, then both are added to the sums.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _emit(builder, "tdpbf16ps", *(_register(tile) for tile in (sums, left, right)))
        return context.get_dummy_value()

    return types.void(sums, left, right), build
