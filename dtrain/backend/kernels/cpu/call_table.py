"""Runs a table of calls of compiled functions, without Python between them.

All of the functions have the form of NumPy's inner loops (`PyUFuncGenericFunction`): addresses of
the arguments, sizes, steps in bytes, and data of their own. NumPy's own loops are among them, so
results have the bits of its functions.

A row of a table, int64: the function, its data, how many arguments it has, how often it is called;
then for each argument the number of its memory, an offset and the step from one call to the next,
in bytes; then sizes and steps. The memory 0 is the arena; the others are those of given arrays.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dtrain.backend.kernels.cpu.activation import _tanh_backward
from dtrain.backend.kernels.cpu.compiler import compiled, compiled_callback
from dtrain.backend.kernels.cpu.norm import _layer_norm, _layer_norm_backward

MAX_ARGUMENTS, MAX_SIZES, MAX_STEPS = 8, 4, 10
ARGUMENTS = 4
SIZES = ARGUMENTS + 3 * MAX_ARGUMENTS
STEPS = SIZES + MAX_SIZES
WIDTH = STEPS + MAX_STEPS

# CPython's tuples and NumPy's arrays (`PyArrayObject_fields`, which its C API makes public)
_TUPLE_ITEMS, _DATA, _FLAGS = tuple.__basicsize__, 16, 64
_C_CONTIGUOUS, _ALIGNED = 0x1, 0x100


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
def run_table(table: np.ndarray, arena: int, given: int, memory: np.ndarray) -> bool:
    """Run the calls of a table. False, before any, if a given array is not in C order.

    arena : the address of the memory 0
    given : the `id` of a tuple with the arrays that are the other ones
    memory : (1 + their number,), for their addresses
    """
    memory[0] = arena
    for i in range(1, memory.size):
        array = _read(given + _TUPLE_ITEMS + 8 * (i - 1))
        flags = _read(array + _FLAGS)
        if not flags & _C_CONTIGUOUS or not flags & _ALIGNED:
            return False
        memory[i] = _read(array + _DATA)
    arguments = np.empty(MAX_ARGUMENTS, np.int64)
    for row in range(table.shape[0]):
        count = table[row, 2]
        for k in range(count):
            start = ARGUMENTS + 3 * k
            arguments[k] = memory[table[row, start]] + table[row, start + 1]
        for _ in range(table[row, 3]):
            _call(
                table[row, 0], arguments.ctypes.data,
                table.ctypes.data + 8 * (row * WIDTH + SIZES),
                table.ctypes.data + 8 * (row * WIDTH + STEPS), table[row, 1],
            )  # fmt: skip
            for k in range(count):
                arguments[k] += table[row, ARGUMENTS + 3 * k + 2]
    return True


# --- kernels as such functions ---

_LOOP = types.void(
    types.CPointer(types.voidptr), types.CPointer(types.intp), types.CPointer(types.intp),
    types.CPointer(types.float64),
)  # fmt: skip


def _layer_norm_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        rows, n = sizes[0], sizes[1]
        x, out = numba.carray(args[0], (rows, n), dtype), numba.carray(args[3], (rows, n), dtype)
        weight, bias = numba.carray(args[1], n, dtype), numba.carray(args[2], n, dtype)
        mean = numba.carray(args[4], (rows, 1), dtype)
        rstd = numba.carray(args[5], (rows, 1), dtype)
        _layer_norm(x, weight, bias, data[0], out, mean, rstd)

    return loop


def _layer_norm_backward_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        rows, n = sizes[0], sizes[1]
        g, x = numba.carray(args[0], (rows, n), dtype), numba.carray(args[1], (rows, n), dtype)
        weight = numba.carray(args[2], n, dtype)
        mean = numba.carray(args[3], (rows, 1), dtype)
        rstd = numba.carray(args[4], (rows, 1), dtype)
        grad_x = numba.carray(args[5], (rows, n), dtype)
        grad_weight, grad_bias = numba.carray(args[6], n, dtype), numba.carray(args[7], n, dtype)
        grad_weight[:] = 0
        grad_bias[:] = 0
        _layer_norm_backward(g, x, weight, mean, rstd, grad_x, grad_weight, grad_bias)

    return loop


def _sum_rows_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        rows, n = sizes[0], sizes[1]
        x, out = numba.carray(args[0], (rows, n), dtype), numba.carray(args[1], n, dtype)
        out[:] = 0
        for i in range(rows):
            for j in range(n):
                out[j] += x[i, j]

    return loop


def _tanh_backward_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        g, out = numba.carray(args[0], sizes[0], dtype), numba.carray(args[1], sizes[0], dtype)
        _tanh_backward(g, out, numba.carray(args[2], sizes[0], dtype))

    return loop


_MAKERS = {
    "tanh_backward": _tanh_backward_loop,
    "layer_norm": _layer_norm_loop,
    "layer_norm_backward": _layer_norm_backward_loop,
    "sum_rows": _sum_rows_loop,
}


@functools.cache
def kernel_loop(name: str, dtype: np.dtype) -> Any:
    """A kernel as a function of this form, for C-ordered arrays; None if it is not there.

    The result is kept as long as the process: its `address` is that of machine code.
    """
    maker = _MAKERS.get(name)
    return None if maker is None else compiled_callback(_LOOP, maker(numba.from_dtype(dtype)))
