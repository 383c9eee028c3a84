"""Kernels as functions of the form that tables call (`call_table.py`), for C-ordered arrays.

Each calls the machine code that eager mode runs, at the address that its data begins with: a copy
of a kernel, inlined here, may add in another order. A number that a kernel takes comes next.
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
from dtrain.backend.kernels.cpu.attention import _causal_softmax
from dtrain.backend.kernels.cpu.compiler import compiled, compiled_callback
from dtrain.backend.kernels.cpu.masked_softmax import _masked_softmax
from dtrain.backend.kernels.cpu.norm import (
    _group_norm,
    _group_norm_backward,
    _layer_norm,
    _layer_norm_backward,
    _rms_norm,
    _rms_norm_backward,
)
from dtrain.backend.kernels.cpu.softmax import _softmax, _softmax_backward
from dtrain.backend.kernels.cpu.sums import _add_rows


@compiled
def _fill(out: np.ndarray, value: float) -> None:
    """out = value."""
    for i in range(out.size):
        out[i] = value


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


def _rms_norm_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        rows, n = sizes[0], sizes[1]
        x, out = numba.carray(args[0], (rows, n), dtype), numba.carray(args[2], (rows, n), dtype)
        weight = numba.carray(args[1], n, dtype)
        scale = numba.carray(args[3], (rows, 1), dtype)
        _call_kernel(data[0], (x, weight, _as_float(data[1]), out, scale))

    return loop


def _rms_norm_backward_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        rows, n = sizes[0], sizes[1]
        g, x = numba.carray(args[0], (rows, n), dtype), numba.carray(args[1], (rows, n), dtype)
        weight = numba.carray(args[2], n, dtype)
        scale = numba.carray(args[3], (rows, 1), dtype)
        grad_x = numba.carray(args[4], (rows, n), dtype)
        grad_weight = numba.carray(args[5], n, dtype)
        _call_kernel(data[0], (g, x, weight, scale, grad_x, grad_weight))

    return loop


def _group_norm_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        n, channels, inner, groups = sizes[0], sizes[1], sizes[2], sizes[3]
        x = numba.carray(args[0], (n, channels, inner), dtype)
        weight = numba.carray(args[1], channels, dtype)
        bias = numba.carray(args[2], channels, dtype)
        out = numba.carray(args[3], (n, channels, inner), dtype)
        mean = numba.carray(args[4], (n * groups, 1), dtype)
        rstd = numba.carray(args[5], (n * groups, 1), dtype)
        eps = _as_float(data[1])
        _call_kernel(data[0], (x, weight, bias, groups, eps, out, mean, rstd))

    return loop


def _group_norm_backward_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        n, channels, inner, groups = sizes[0], sizes[1], sizes[2], sizes[3]
        g = numba.carray(args[0], (n, channels, inner), dtype)
        x = numba.carray(args[1], (n, channels, inner), dtype)
        weight = numba.carray(args[2], channels, dtype)
        mean = numba.carray(args[3], (n * groups, 1), dtype)
        rstd = numba.carray(args[4], (n * groups, 1), dtype)
        grad_x = numba.carray(args[5], (n, channels, inner), dtype)
        grad_weight = numba.carray(args[6], channels, dtype)
        grad_bias = numba.carray(args[7], channels, dtype)
        _call_kernel(data[0], (g, x, weight, mean, rstd, groups, grad_x, grad_weight, grad_bias))

    return loop


def _add_rows_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        x = numba.carray(args[0], (sizes[0], sizes[1]), dtype)
        _call_kernel(data[0], (x, numba.carray(args[1], sizes[1], dtype)))

    return loop


def _softmax_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        shape = sizes[0], sizes[1]
        x, out = numba.carray(args[0], shape, dtype), numba.carray(args[1], shape, dtype)
        _call_kernel(data[0], (x, out))

    return loop


def _softmax_backward_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        shape = sizes[0], sizes[1]
        g, out = numba.carray(args[0], shape, dtype), numba.carray(args[1], shape, dtype)
        _call_kernel(data[0], (g, out, numba.carray(args[2], shape, dtype)))

    return loop


def _masked_softmax_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        shape = sizes[0], sizes[1]
        x, out = numba.carray(args[0], shape, dtype), numba.carray(args[2], shape, dtype)
        _call_kernel(data[0], (x, numba.carray(args[1], (sizes[2], sizes[1]), dtype), out))

    return loop


def _causal_softmax_loop(dtype: Any) -> Any:
    def loop(args: Any, sizes: Any, steps: Any, data: Any) -> None:
        shape = sizes[0], sizes[1]
        x, out = numba.carray(args[0], shape, dtype), numba.carray(args[1], shape, dtype)
        _call_kernel(data[0], (x, sizes[2], sizes[3], out))

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


#: Name -> kernel, the function that calls it, and the dimensions of its arguments, 0 for a number,
#: -1 for an integer.
#: `add_rows` and the gradients of a norm's weight and bias are added to what their outputs hold.
_KERNELS: dict[str, tuple[Any, Callable[[Any], Any], tuple[int, ...]]] = {
    "add_rows": (_add_rows, _add_rows_loop, (2, 1)),
    "fill": (_fill, _fill_loop, (1, 0)),
    "layer_norm": (_layer_norm, _layer_norm_loop, (2, 1, 1, 0, 2, 2, 2)),
    "layer_norm_backward": (
        _layer_norm_backward, _layer_norm_backward_loop, (2, 2, 1, 2, 2, 2, 1, 1)
    ),
    "rms_norm": (_rms_norm, _rms_norm_loop, (2, 1, 0, 2, 2)),
    "rms_norm_backward": (_rms_norm_backward, _rms_norm_backward_loop, (2, 2, 1, 2, 2, 1)),
    "group_norm": (_group_norm, _group_norm_loop, (3, 1, 1, -1, 0, 3, 2, 2)),
    "group_norm_backward": (
        _group_norm_backward, _group_norm_backward_loop, (3, 3, 1, 2, 2, -1, 3, 1, 1)
    ),
    "softmax": (_softmax, _softmax_loop, (2, 2)),
    "softmax_backward": (_softmax_backward, _softmax_backward_loop, (2, 2, 2)),
    "masked_softmax": (_masked_softmax, _masked_softmax_loop, (2, 2, 2)),
    "causal_softmax": (_causal_softmax, _causal_softmax_loop, (2, -1, -1, 2)),
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
    numbers = {0: types.float64, -1: types.int64}
    signature = tuple(numbers.get(n) or types.Array(kind, n, "C") for n in dimensions)
    kernel.compile(signature)
    compiled_kernel = kernel.overloads[signature]
    address = compiled_kernel.library.get_pointer_to_function(compiled_kernel.fndesc.llvm_func_name)
    return KernelLoop(_compiled_loop(make, kind), address)


@functools.cache
def _compiled_loop(make: Callable[[Any], Any], kind: Any) -> Any:
    return compiled_callback(_LOOP, make(kind))
