"""`compiled`: Numba's compiler, as all kernels use it.

The first training step of a process waits while Numba compiles. For `min`, `max`, `reshape`,
`np.empty` and arithmetic of whole arrays Numba compiles functions of its own; so kernels use
conditional expressions, flat arrays with sizes, memory that the caller allocates, and loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin

from dtrain.backend.compile_lock import one_process
from dtrain.backend.kernels.cpu.code_cache import CodeCache
from dtrain.backend.kernels.cpu.pipeline import (
    InlinedCompiler,
    KernelCompiler,
    WideInlinedCompiler,
    WideKernelCompiler,
)

#: Sums may be split over the lanes of a vector register, products and sums fused. NaN, infinity
#: and what is not summed are left alone.
VECTOR_SUMS = {"reassoc", "contract", "nsz"}
#: Sums in order.
IN_ORDER = {"contract"}


def compiled(
    function: Callable | None = None, *, fastmath: Any = VECTOR_SUMS, wide: bool = False
) -> Callable:
    """Compile a function at its first call with arrays of some types; decorator.

    wide : its loops take the widest registers there are
    """
    if function is None:
        return lambda function: compiled(function, fastmath=fastmath, wide=wide)
    # Inlined where another kernel calls it: else that one's code would have a copy, optimized again
    # and adding in another order, and the process would run whichever was loaded first.
    dispatcher = numba.njit(
        function, fastmath=fastmath, nogil=True, error_model="numpy", forceinline=True,
        no_cfunc_wrapper=True, pipeline_class=WideKernelCompiler if wide else KernelCompiler,
    )  # fmt: skip
    dispatcher._compilation_chain_init_hook = _skip_extensions
    compile_now = dispatcher.compile

    def compile_alone(signature: Any) -> Any:
        if type(dispatcher._cache) is not CodeCache:
            try:
                dispatcher._cache = CodeCache(function)
            except RuntimeError:  # no folder may be written to: compiled in every process
                return compile_now(signature)
        with one_process(dispatcher.stats.cache_path):
            return compile_now(signature)

    dispatcher.compile = compile_alone
    return dispatcher


def _skip_extensions() -> None:
    """Do not look for packages that extend Numba, in all that is installed."""


def compiled_callback(signature: Any, function: Callable) -> CFunc:
    """A function as machine code that others call by its `address`."""
    options = {"error_model": "numpy"}
    made = CFunc(function, normalize_signature(signature), {}, options, KernelCompiler)
    try:
        made._cache = CodeCache(function)
    except RuntimeError:
        made.compile()
        return made
    with one_process(made._cache.cache_path):
        made.compile()
    return made


def inlined(
    function: Callable | None = None, *, fastmath: Any = IN_ORDER, wide: bool = False
) -> Callable:
    """Compile a function into the kernels that call it, by default its sums in order; decorator.

    wide : the kernels that call it, and its loops, are
    """
    if function is None:
        return lambda function: inlined(function, fastmath=fastmath, wide=wide)
    return numba.njit(
        function, fastmath=fastmath, error_model="numpy", forceinline=True,
        no_cfunc_wrapper=True, no_cpython_wrapper=True,
        pipeline_class=WideInlinedCompiler if wide else InlinedCompiler,
    )  # fmt: skip


def choose_by_width(stub: Callable, of_32_bits: Callable, of_64_bits: Callable) -> None:
    """Let compiled functions call `stub(number)`: one function for 32 bits, another for 64."""

    def resolve(context: Any, number: Any) -> Any:
        return context.resolve_value_type(of_32_bits if number.bitwidth == 32 else of_64_bits)

    @infer_global(stub)
    class Choice(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return resolve(self.context, args[0]).get_call_type(self.context, args, kws)

    @lower_builtin(stub, types.Number)
    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        chosen = resolve(context.typing_context, signature.args[0])
        function = context.get_function(chosen, signature)
        context.add_linking_libs(getattr(function, "libs", ()))
        return function(builder, arguments)
