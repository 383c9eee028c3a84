"""Runs a table of calls of compiled functions, without Python between them.

All of the functions have the form of NumPy's inner loops (`PyUFuncGenericFunction`): addresses of
the arguments, sizes, steps in bytes, and data of their own. NumPy's own loops are among them, so
results have the bits of its functions.

A row of a table, int64: the function, its data, how many arguments it has, how often it is called;
then for each argument the number of its memory, an offset and the step from one call to the next,
in bytes; then sizes and steps. The memory 0 is the arena; the others are those of given arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dtrain.backend.kernels.cpu.compiler import compiled

MAX_ARGUMENTS, MAX_SIZES, MAX_STEPS = 8, 4, 10
ARGUMENTS = 4
SIZES = ARGUMENTS + 3 * MAX_ARGUMENTS
STEPS = SIZES + MAX_SIZES
WIDTH = STEPS + MAX_STEPS

# CPython's tuples and NumPy's arrays (`PyArrayObject_fields`, which its C API makes public)
_TUPLE_ITEMS, _DATA, _FLAGS = tuple.__basicsize__, 16, 64
_C_CONTIGUOUS, _ALIGNED = 0x1, 0x100
_NOTHING = np.empty(0, np.int64)


@intrinsic
def _call(context: Any, address: Any, args: Any, sizes: Any, steps: Any, data: Any) -> Any:
    """Call the function at an address; the others are addresses, too."""

    def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * 4)
        function = builder.inttoptr(given[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(value, pointer) for value in given[1:]])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), codegen


@intrinsic
def _read(context: Any, address: Any) -> Any:
    """The int64 at an address."""

    def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.load(builder.inttoptr(given[0], ir.IntType(64).as_pointer()))

    return types.int64(types.int64), codegen


@compiled
def _find_memory(arena: int, given: int, memory: np.ndarray, in_any_order: np.ndarray) -> bool:
    """Write the addresses of the memories of a table; False if a given array is not in C order.

    in_any_order : the numbers of the memories that need not be, ascending
    """
    n = 0
    memory[0] = arena
    for i in range(1, memory.size):
        array = _read(given + _TUPLE_ITEMS + 8 * (i - 1))
        flags = _read(array + _FLAGS)
        is_free = n < in_any_order.size and in_any_order[n] == i
        n += is_free
        if not (is_free or flags & _C_CONTIGUOUS) or not flags & _ALIGNED:
            return False
        memory[i] = _read(array + _DATA)
    return True


@compiled
def _run_rows(table: np.ndarray, memory: np.ndarray) -> None:
    """Run the calls of a table on memories at these addresses."""
    arguments = np.empty(MAX_ARGUMENTS, np.int64)
    for row in range(table.shape[0]):
        count = table[row, 2]
        for call in range(table[row, 3]):
            for k in range(count):  # each time: the loops of products change them
                start = ARGUMENTS + 3 * k
                moved = table[row, start + 1] + call * table[row, start + 2]
                arguments[k] = memory[table[row, start]] + moved
            _call(
                table[row, 0], arguments.ctypes.data,
                table.ctypes.data + 8 * (row * WIDTH + SIZES),
                table.ctypes.data + 8 * (row * WIDTH + STEPS), table[row, 1],
            )  # fmt: skip


@compiled
def run_table(table: np.ndarray, arena: int, given: int, memory: np.ndarray) -> bool:
    """Run the calls of a table. False, before any, if a given array is not in C order.

    arena : the address of the memory 0
    given : the `id` of a tuple with the arrays that are the other ones
    memory : (1 + their number,), for their addresses
    """
    if not _find_memory(arena, given, memory, _NOTHING):
        return False
    _run_rows(table, memory)
    return True


@compiled
def run_blocks(
    first: np.ndarray, block: np.ndarray, last: np.ndarray, count: int, steps: np.ndarray,
    in_any_order: np.ndarray, arena: int, given: int, memory: np.ndarray,
) -> bool:  # fmt: skip
    """`run_table` of `first`, `count` times of `block`, and of `last`.

    steps : by how many bytes each memory moves after a block
    in_any_order : the numbers of the memories of arrays that need not be in C order, ascending
    """
    if not _find_memory(arena, given, memory, in_any_order):
        return False
    _run_rows(first, memory)
    for _ in range(count):
        _run_rows(block, memory)
        for i in range(memory.size):
            memory[i] += steps[i]
    _run_rows(last, memory)
    return True
