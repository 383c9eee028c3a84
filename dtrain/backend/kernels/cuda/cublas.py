"""cuBLAS by its C interface, on handles of our own.

CuPy refuses cuBLAS while a stream is captured for a CUDA graph, and leaves the workspace to cuBLAS,
whose sums then depend on what other streams do. Here each stream has a workspace of a fixed size.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from typing import Any

import numpy as np

from dtrain.backend.capture import Capture, current_capture

#: The bytes of a workspace, as NVIDIA recommends: from compute capability 9.0 on, and before.
_WORKSPACE, _SMALL_WORKSPACE = 32 << 20, 8 << 20

_i, _l, _p = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_SIGNATURES: dict[str, list[Any]] = {
    "cublasSetStream_v2": [_p, _p],
    "cublasSetWorkspace_v2": [_p, _p, ctypes.c_size_t],
    # handle; transposed twice; m, n, k; alpha; a, b: array, dtype, leading dimension, step; beta;
    # the same of c; how many; how to compute; algorithm
    "cublasGemmStridedBatchedEx": [
        _p, _i, _i, _i, _i, _i, _p, _p, _i, _i, _l, _p, _i, _i, _l, _p, _p, _i, _i, _l, _i, _i, _i,
    ],
}  # fmt: skip


@functools.cache
def _function(name: str) -> Any:
    from cupy_backends.cuda.libs import cublas

    # the extension module is linked with the library, among whose functions dlsym looks, too
    function = getattr(ctypes.CDLL(cublas.__file__), name)
    function.argtypes = _SIGNATURES[name]
    return function


def call(name: str, *arguments: Any) -> None:
    """Call a function of cuBLAS; raises CuPy's CUBLASError."""
    status = _function(name)(*arguments)
    if status:
        from cupy_backends.cuda.libs import cublas

        raise cublas.CUBLASError(status)


class _Handle:
    """A handle of one thread and device, whose stream is the one that was current last."""

    def __init__(self) -> None:
        from cupy_backends.cuda.libs import cublas

        self._destroy = cublas.destroy
        self.address: int = cublas.create()
        self._user: tuple[int, Capture | None] | None = None

    def use_current_stream(self) -> None:
        import cupy

        # Graphs that are captured on one stream have a workspace each, of their own memory.
        user = cupy.cuda.get_current_stream().ptr, current_capture()
        if user == self._user:
            return
        call("cublasSetStream_v2", self.address, user[0])  # resets the workspace
        large = int(cupy.cuda.Device().compute_capability) >= 90
        self._workspace = cupy.empty(_WORKSPACE if large else _SMALL_WORKSPACE, np.uint8)
        size = self._workspace.nbytes
        call("cublasSetWorkspace_v2", self.address, self._workspace.data.ptr, size)
        self._user = user

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._destroy(self.address)


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.handles: dict[int, _Handle] = {}  # by the number of the GPU


_thread = _PerThread()


def handle() -> int:
    """The handle of this thread for the current device, on the current stream."""
    from cupy.cuda import runtime

    index = runtime.getDevice()
    if index not in _thread.handles:
        _thread.handles[index] = _Handle()
    own = _thread.handles[index]
    own.use_current_stream()
    return own.address
