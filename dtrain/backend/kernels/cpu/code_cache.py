"""Machine code of kernels on disk, as Numba keeps it, and loaded in less time.

Numba reads the LLVM code of each function, too, and compiles its runtime in every process. A
process whose kernels were all compiled before needs neither.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.runtime import _nrt_python

_FILES = [path.stat() for path in sorted(Path(__file__).parent.glob("*.py"))]


class _LoadedCode(JITCodeLibrary):
    """Machine code from disk. Its LLVM code is read when another kernel inlines it."""

    def __init__(self, codegen: Any, name: str, machine_code: bytes, llvm_code: bytes) -> None:
        super().__init__(codegen, name)
        self._llvm_code = llvm_code
        self._shared_module: Any = None
        self.enable_object_caching()
        self._set_compiled_object(machine_code)
        self._finalize_final_module()

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None:
            self._shared_module = llvmlite.binding.parse_bitcode(self._llvm_code)
        return self._shared_module

    def get_pointer_to_function(self, name: str) -> int:
        """The address of a function; 0 if there is none."""
        return self._codegen._engine.get_function_address(name)


class _Loader:
    """Stands for Numba's target context and its code generator, to make `_LoadedCode`."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def codegen(self) -> Any:
        """Has `unserialize_library`."""
        return self

    def unserialize_library(self, state: Any) -> JITCodeLibrary:
        """Machine code as `JITCodeLibrary.serialize_using_object_code` gave it."""
        name, _, (machine_code, llvm_code) = state
        return _LoadedCode(self._context.codegen(), name, machine_code, llvm_code)


class _Results(CompileResultCacheImpl):
    """Numba's form of a compiled function in a file."""

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """The compiled function."""
        made = CompileResult._rebuild(_Loader(target_context), *payload)
        return made._replace(target_context=target_context)


class _CacheFile(IndexDataCacheFile):
    """Machine code of a function on disk, by types of arguments."""

    def _load_index(self) -> dict:
        """The index of the cached machine code; empty if it names classes that no longer exist."""
        try:
            return super()._load_index()
        except (AttributeError, ImportError):
            return {}


class CodeCache(FunctionCache):
    """Machine code on disk, outdated by a change in any file of this folder.

    Numba itself looks at a function's own file only, and kernels inline functions of others.
    """

    _impl_class = _Results

    def __init__(self, function: Callable):
        super().__init__(function)
        stamp = [(file.st_mtime, file.st_size) for file in _FILES]
        self._cache_file = _CacheFile(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Machine code of these types of arguments, or None; what Numba needs to compile is not
        loaded, which takes longer than the code."""
        _name_runtime_functions()
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, target_context)


def _name_runtime_functions() -> None:
    """Let machine code call the C functions of Numba's runtime, which unpack arrays."""
    if not _named:
        for name, address in _nrt_python.c_helpers.items():
            symbol = name if name.startswith("_") else f"NRT_{name}"
            llvmlite.binding.add_symbol(symbol, address)
        _named.append(True)


_named: list[bool] = []
