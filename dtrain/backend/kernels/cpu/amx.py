"""Instructions of Intel's AMX in compiled functions: products of tiles of bfloat16 numbers.

A processor with AMX has eight registers of 16 rows of 64 bytes, 0 .. 7, and multiplies 16 x 32
bfloat16 numbers with 32 x 16 of them in one instruction, with sums in float32: 16 times as many
products in a cycle as AVX-512 makes of float32 numbers. (Intel 64 and IA-32 Architectures
Software Developer's Manual, volume 1, chapter 18)
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
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


def aligned_memory(size: int) -> np.ndarray:
    """Bytes whose address is a multiple of a row's."""
    memory = np.empty(size + ROW_BYTES, np.uint8)
    return memory[-memory.ctypes.data % ROW_BYTES :][:size]


def _emit(builder: Any, name: str, *arguments: Any) -> None:
    """Emit a call of LLVM's intrinsic llvm.x86.`name`; numbers of registers are Python's."""
    operands = [ir.Constant(_BYTE, x) if type(x) is int else x for x in arguments]
    of = ir.FunctionType(_VOID, [operand.type for operand in operands])
    function = cgutils.get_or_insert_function(builder.module, of, f"llvm.x86.{name}")
    builder.call(function, operands)


def _emit_move(builder: Any, name: str, register: int, start: Any, offset: int, step: Any) -> None:
    """Emit a load or a store of a register's rows, `step` bytes apart."""
    place = builder.add(start, ir.Constant(_INT, offset))
    _emit(builder, name, register, builder.inttoptr(place, _POINTER), step)


def _instructions(emit: Callable[..., None], arguments: int) -> Any:
    """The function of so many integers whose code `emit(builder, *integers)` emits."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        emit(builder, *values)
        return context.get_dummy_value()

    of = types.void(*[types.intp] * arguments), build
    # Numba looks at the names of an intrinsic's arguments
    if arguments == 0:
        return intrinsic(lambda typing_context: of)
    if arguments == 1:
        return intrinsic(lambda typing_context, first: of)
    if arguments == 2:
        return intrinsic(lambda typing_context, first, second: of)
    return intrinsic(lambda typing_context, first, second, third, fourth: of)


def _emit_configure(builder: Any, address: Any) -> None:
    _emit(builder, "ldtilecfg", builder.inttoptr(address, _POINTER))


def _emit_prefetch(writes: int, level: int) -> Callable[..., None]:
    def emit(builder: Any, address: Any) -> None:
        word = ir.IntType(32)
        of = ir.FunctionType(_VOID, [_POINTER, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, of, "llvm.prefetch.p0")
        options = [ir.Constant(word, value) for value in (writes, 4 - level, 1)]
        builder.call(function, [builder.inttoptr(address, _POINTER), *options])

    return emit


def _emit_clear(builder: Any) -> None:
    for register in _SUMS:
        _emit(builder, "tilezero", register)


def _emit_move_sums(name: str) -> Callable[..., None]:
    def emit(builder: Any, address: Any, stride: Any) -> None:
        for tile, register in enumerate(_SUMS):
            _emit_move(builder, name, register, address, tile * ROW_BYTES, stride)

    return emit


def _emit_products(parts: Sequence[tuple[int, int]]) -> Callable[..., None]:
    """The emitter of the products of these parts, (of left, of right), of 32 numbers, in order."""

    def emit(builder: Any, left: Any, right: Any, apart: Any = None, between: Any = None) -> None:
        loaded, step = (-1, -1), ir.Constant(_INT, ROW_BYTES)
        apart = ir.Constant(_INT, TILE_BYTES) if apart is None else apart
        for part in parts:
            if part[0] != loaded[0]:
                tile = builder.add(left, builder.mul(apart, ir.Constant(_INT, part[0])))
                _emit_move(builder, "tileloadd64", _LEFT, tile, 0, between or step)
            for tile, register in enumerate(_RIGHT):
                if part[1] != loaded[1]:
                    offset = (2 * part[1] + tile) * TILE_BYTES
                    _emit_move(builder, "tileloadd64", register, right, offset, step)
            for sums, register in zip(_SUMS, _RIGHT):
                _emit(builder, "tdpbf16ps", sums, _LEFT, register)
            loaded = part

    return emit


#: Registers: of two tiles of sums, of a tile of the left factor and two of the right one. They are
#: few, as each instruction takes a new register to write to, of which two threads of a core have
#: some together.
_SUMS, _LEFT, _RIGHT = (0, 1), 2, (3, 4)

#: configure(address of a `tile_configuration`): before all others. release(): the system need not
#: save the registers any more. prefetch(address): have a line brought to the second cache.
#: prefetch_to_write(address): to the first one, as no other core's.
configure: Any = _instructions(_emit_configure, 1)
release: Any = _instructions(lambda builder: _emit(builder, "tilerelease"), 0)
prefetch: Any = _instructions(_emit_prefetch(0, 2), 1)
prefetch_to_write: Any = _instructions(_emit_prefetch(1, 1), 1)
#: The 16 x 32 sums: clear_sums(), load_sums(address, bytes between rows), store_sums(the same).
clear_sums: Any = _instructions(_emit_clear, 0)
load_sums: Any = _instructions(_emit_move_sums("tileloadd64"), 2)
store_sums: Any = _instructions(_emit_move_sums("tilestored64"), 2)
#: Add the products of 32 numbers: of all parts that count, or of the first parts alone, to the
#: sums. (address of the left factor's tiles, (3 parts,), of the right one's, (3 parts, 2 tiles)).
#:
#: Row i of a left tile has 16 pairs of bfloat16 numbers, row r of a right tile 16 columns' pairs;
#: pairs r are multiplied. The products of the pairs' first numbers are added in the order of r,
#: those of the second ones apart, then both are added to the sums.
_emit_all_products = _emit_products([(0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0)])
add_all_products: Any = _instructions(_emit_all_products, 2)
add_first_products: Any = _instructions(_emit_products([(0, 0)]), 2)
#: add_all_products with a left factor whose parts and whose rows lie apart by so many bytes, (left,
#: right, bytes from part to part, bytes from row to row).
add_products_of_rows: Any = _instructions(_emit_all_products, 4)
