"""`compiled`: Numba's compiler, as all kernels use it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.runtime import rtsys
from numba.core.sigutils import normalize_signature
from numba.extending import overload

#: Sums may be split over the lanes of a vector register, products and sums fused. NaN, infinity
#: and what is not summed are left alone.
VECTOR_SUMS = {"reassoc", "contract", "nsz"}

_FILES = [path.stat() for path in sorted(Path(__file__).parent.glob("*.py"))]


class _Cache(FunctionCache):
    """Machine code on disk, outdated by a change in any file of this folder.

    Numba itself looks at a function's own file only, and kernels inline functions of others.
    """

    def __init__(self, function: Callable):
        super().__init__(function)
        stamp = [(file.st_mtime, file.st_size) for file in _FILES]
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Machine code of these types of arguments, or None; what Numba needs to compile is not
        loaded, which takes longer than the code."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, target_context)


def compiled(function: Callable | None = None, *, fastmath: Any = VECTOR_SUMS) -> Callable:
    """Compile a function at its first call with arrays of some types; decorator."""
    if function is None:
        return lambda function: compiled(function, fastmath=fastmath)
    # Inlined where another kernel calls it: else that one's code would have a copy, optimized again
    # and adding in another order, and the process would run whichever was loaded first.
    dispatcher = numba.njit(
        function, fastmath=fastmath, nogil=True, error_model="numpy", forceinline=True
    )
    try:
        dispatcher._cache = _Cache(function)
    except RuntimeError:  # no folder may be written to: it is compiled in every process
        return dispatcher
    compile_now = dispatcher.compile

    def compile_alone(signature: Any) -> Any:
        with _one_process(dispatcher.stats.cache_path):
            return compile_now(signature)

    dispatcher.compile = compile_alone
    return dispatcher


def compiled_callback(signature: Any, function: Callable) -> CFunc:
    """A function as machine code that others call by its `address`."""
    made = CFunc(function, normalize_signature(signature), {}, {"error_model": "numpy"})
    try:
        made._cache = _Cache(function)
    except RuntimeError:
        made.compile()
        return made
    with _one_process(made._cache.cache_path):
        made.compile()
    return made


_threads = threading.RLock()
_depth = 0


@contextlib.contextmanager
def _one_process(folder: str) -> Iterator[None]:
    """Ranks start together: one compiles, the others wait and find its work in the cache."""
    global _depth
    with _threads, contextlib.ExitStack() as stack:
        if not _depth:  # a kernel that calls another compiles that in between
            with contextlib.suppress(OSError):  # without a lock each compiles for itself
                os.makedirs(folder, exist_ok=True)
                file = stack.enter_context(open(os.path.join(folder, "kernels.lock"), "w"))
                fcntl.flock(file, fcntl.LOCK_EX)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def inlined(function: Callable) -> Callable:
    """Compile a function of numbers into the loops that call it, its sums in order; decorator."""
    return numba.njit(function, fastmath={"contract"}, error_model="numpy", forceinline=True)


def overload_by_width(stub: Callable, of_32_bits: Callable, of_64_bits: Callable) -> None:
    """Let compiled functions call `stub(number)`: one function for 32 bits, another for 64."""

    def call_of_32_bits(x: Any) -> Any:
        return of_32_bits(x)

    def call_of_64_bits(x: Any) -> Any:
        return of_64_bits(x)

    @overload(stub, inline="always")
    def choose(x: Any) -> Callable[[Any], Any]:
        return call_of_32_bits if x.bitwidth == 32 else call_of_64_bits
