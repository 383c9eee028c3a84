"""Numba's way from a function to machine code, without what kernels do not need.

Numba optimizes each function alone, then all that a kernel calls together, twice, and makes machine
code of the functions that are inlined, too. Here the whole kernel is optimized, once. Numba's
`compiler_machinery` documents such pipelines.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager


class _KernelCode(JITCodeLibrary):
    """The LLVM module of a kernel, with the functions that the kernel calls linked in."""

    _final_module: Any

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        self._unoptimized = self._final_module.clone()
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)

    def _get_module_for_linking(self) -> Any:
        """The code for others that inline it: optimized in them alone, its sums get one order."""
        if self._shared_module is not None:
            return self._shared_module
        optimized, self._final_module = self._final_module, self._unoptimized
        try:
            return super()._get_module_for_linking()
        finally:
            self._final_module = optimized


class _InlinedCode(_KernelCode):
    """A function that is inlined in kernels, which are optimized and become machine code."""

    def _optimize_final_module(self) -> None:
        self._unoptimized = self._final_module

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is none, and Python does not call it."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Has `set_env`."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: the pointer to a function's environment is part of machine code, and an
        inlined function has none."""


class _WideLoops(_KernelCode):
    """Code whose loops take the whole width of AVX-512's registers: LLVM takes half of it."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Take in a function, with LLVM's attribute."""
        for function in ir_module.functions:
            if function.blocks:  # llvmlite's own `add` refuses attributes that it does not know
                set.add(function.attributes, '"prefer-vector-width"="512"')
                _take_two_vectors(ir_module, function)
        super().add_ir_module(ir_module)


class _WideInlinedCode(_WideLoops, _InlinedCode):
    """A function that is inlined in kernels with such loops."""


def _take_two_vectors(module: Any, function: Any) -> None:
    """Set the interleave count of vectorized loops to 2: LLVM's own is 4, and elements left over
    after whole iterations are computed one by one."""
    begun = set()
    for block in function.blocks:
        begun.add(block)
        if not block.is_terminated:
            continue
        jump = block.terminator
        if any(target in begun for target in jump.operands if isinstance(target, ir.Block)):
            count = ir.Constant(ir.IntType(32), 2)
            name = ir.MetaDataString(module, "llvm.loop.interleave.count")
            loop = ir.MDValue(
                module, [module.add_metadata([name, count])], str(len(module.metadata))
            )
            loop.operands = loop, *loop.operands  # a loop's name begins with itself
            jump.set_metadata("llvm.loop", loop)


_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.InlineClosureLikes,
    untyped_passes.RewriteSemanticConstants,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.InlineOverloads,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)


class KernelCompiler(CompilerBase):
    """The pipeline of a kernel."""

    code: type[JITCodeLibrary] = _KernelCode

    def define_pipelines(self) -> list[PassManager]:
        """One, whose machine code is kept on disk."""
        state = self.state
        state.library = self.code(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        manager = PassManager("kernel")
        for each in _PASSES:
            manager.add_pass(each, each.__doc__)
        manager.finalize()
        return [manager]


class WideKernelCompiler(KernelCompiler):
    """The pipeline of a kernel that computes much with each element of long arrays."""

    code = _WideLoops


class InlinedCompiler(KernelCompiler):
    """The pipeline of a function that kernels inline."""

    code = _InlinedCode


class WideInlinedCompiler(InlinedCompiler):
    """The pipeline of a function that such kernels inline."""

    code = _WideInlinedCode
