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
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from dtrain.backend.kernels.cpu import activation
from dtrain.backend.kernels.cpu.compiler import compiled, compiled_callback
from dtrain.backend.kernels.cpu.norm import _layer_norm, _layer_norm_backward
from dtrain.backend.kernels.cpu.sums import _add_rows

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
def _find_memory(arena: int, given: int, memory: np.ndarray) -> bool:
    """Write the addresses of the memories of a table; False if a given array is not in C order."""
    memory[0] = arena
    for i in range(1, memory.size):
        array = _read(given + _TUPLE_ITEMS + 8 * (i - 1))
        flags = _read(array + _FLAGS)
        if not flags & _C_CONTIGUOUS or not flags & _ALIGNED:
            return False
        memory[i] = _read(array + _DATA)
    return True


@compiled
def _run_rows(table: np.ndarray, memory: np.ndarray) -> None:
    """Run the calls of a table on memories at these addresses."""
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


@compiled
def run_table(table: np.ndarray, arena: int, given: int, memory: np.ndarray) -> bool:
    """Run the calls of a table. False, before any, if a given array is not in C order.

    arena : the address of the memory 0
    given : the `id` of a tuple with the arrays that are the other ones
    memory : (1 + their number,), for their addresses
    """
    if not _find_memory(arena, given, memory):
        return False
    _run_rows(table, memory)
    return True


@compiled
def run_blocks(
    first: np.ndarray, block: np.ndarray, last: np.ndarray, count: int, steps: np.ndarray,
    arena: int, given: int, memory: np.ndarray,
) -> bool:  # fmt: skip
    """`run_table` of `first`, `count` times of `block`, and of `last`.

    steps : by how many bytes each memory moves after a block
    """
    if not _find_memory(arena, given, memory):
        return False
    _run_rows(first, memory)
    for _ in range(count):
        _run_rows(block, memory)
        for i in range(memory.size):
            memory[i] += steps[i]
    _run_rows(last, memory)
    return True


# --- kernels as such functions ---


@compiled
def _fill(out: np.ndarray, value: float) -> None:
    """out = value."""
    for i in range(out.size):
        out[i] = value


# Each calls the machine code that eager mode runs, at the address that its data begins with: a copy
# of a kernel, inlined here, may add in another order. A number that a kernel takes comes next.

_LOOP = types.void(
    types.CPointer(types.voidptr), types.CPointer(types.intp), types.CPointer(types.intp),
    types.CPointer(types.int64),
)  # fmt: skip


@intrinsic
def _call_kernel(context: Any, address: Any, args: Any) -> Any:
    """Call the compiled function at an address."""

    def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = context.call_conv.get_function_type(types.none, tuple(args))
        function = builder.inttoptr(given[0], kind.as_pointer())
        values = cgutils.unpack_tuple(builder, given[1])
        context.call_conv.call_function(builder, function, types.none, tuple(args), values)
        return context.get_dummy_value()

    return types.void(types.int64, args), codegen


@intrinsic
def _as_float(context: Any, bits: Any) -> Any:
    """The float64 that has the bits of an int64."""

    def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], ir.DoubleType())

    return types.float64(types.int64), codegen


def _layer_norm_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        rows, n = sizes[0], sizes[1]
        x, out = numba.carray(args[0], (rows, n), dtype), numba.carray(args[3], (rows, n), dtype)
        weight, bias = numba.carray(args[1], n, dtype), numba.carray(args[2], n, dtype)
        mean = numba.carray(args[4], (rows, 1), dtype)
        rstd = numba.carray(args[5], (rows, 1), dtype)
        _call_kernel(data[0], (x, weight, bias, _as_float(data[1]), out, mean, rstd))

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
        _call_kernel(data[0], (g, x, weight, mean, rstd, grad_x, grad_weight, grad_bias))

    return loop


def _add_rows_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        x = numba.carray(args[0], (sizes[0], sizes[1]), dtype)
        _call_kernel(data[0], (x, numba.carray(args[1], sizes[1], dtype)))

    return loop


def _fill_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        _call_kernel(data[0], (numba.carray(args[0], sizes[0], dtype), _as_float(data[1])))

    return loop


def _map_one_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        x, out = numba.carray(args[0], sizes[0], dtype), numba.carray(args[1], sizes[0], dtype)
        _call_kernel(data[0], (x, out))

    return loop


def _map_two_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        x, y = numba.carray(args[0], sizes[0], dtype), numba.carray(args[1], sizes[0], dtype)
        _call_kernel(data[0], (x, y, numba.carray(args[2], sizes[0], dtype)))

    return loop


#: Name -> kernel, the function that calls it, and the dimensions of its arguments, 0 for a number.
#: `add_rows` and the gradients of a norm's weight and bias are added to what their outputs hold.
_KERNELS: dict[str, tuple[Any, Callable[[Any], Any], tuple[int, ...]]] = {
    "add_rows": (_add_rows, _add_rows_loop, (2, 1)),
    "fill": (_fill, _fill_loop, (1, 0)),
    "layer_norm": (_layer_norm, _layer_norm_loop, (2, 1, 1, 0, 2, 2, 2)),
    "layer_norm_backward": (
        _layer_norm_backward, _layer_norm_backward_loop, (2, 2, 1, 2, 2, 2, 1, 1)
    ),
    **{
        name: (getattr(activation, f"_{name}"), _map_one_loop, (1, 1))
        for name in ("gelu", "gelu_tanh", "relu", "sigmoid", "silu")
    },
    **{
        name: (getattr(activation, f"_{name}"), _map_two_loop, (1, 1, 1))
        for name in (
            "gelu_backward", "gelu_tanh_backward", "relu_backward", "sigmoid_backward",
            "silu_backward", "tanh_backward",
        )
    },
}  # fmt: skip


class KernelLoop(NamedTuple):
    """A kernel as a function of this form, for C-ordered arrays; kept as long as the process.

    loop : its `address` is that of machine code
    kernel : the address of the kernel's own
    """

    loop: Any
    kernel: int


@functools.cache
def kernel_loop(name: str, dtype: np.dtype) -> KernelLoop | None:
    """A kernel as a function of this form; None if it is not there."""
    if name not in _KERNELS:
        return None
    kernel, make, dimensions = _KERNELS[name]
    kind = numba.from_dtype(dtype)
    signature = tuple(types.Array(kind, n, "C") if n else types.float64 for n in dimensions)
    kernel.compile(signature)
    compiled_kernel = kernel.overloads[signature]
    address = compiled_kernel.library.get_pointer_to_function(compiled_kernel.fndesc.llvm_func_name)
    return KernelLoop(_compiled_loop(make, kind), address)


@functools.cache
def _compiled_loop(make: Callable[[Any], Any], kind: Any) -> Any:
    return compiled_callback(_LOOP, make(kind))
