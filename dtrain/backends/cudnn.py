"""Switches of cuDNN (torch.backends.cudnn).

cuDNN computes convolutions and attention on a GPU if `pip install 'dtrain[cudnn]'` has installed it
and `enabled` is True: with deterministic engines alone, whatever `deterministic` says, and without
trials to find the fastest, whatever `benchmark` says, since trials choose other bits from run to
run. What it has no such engine for, and everything where it is not installed, dtrain's own kernels
compute. TensorFloat32 needs `allow_tf32`, and `set_float32_matmul_precision` to allow it, too.
"""

from __future__ import annotations

import sys
import types
from contextlib import AbstractContextManager
from typing import Any

from dtrain.backend.kernels.cuda import cudnn_plan
from dtrain.backend.settings import cudnn as _switches
from dtrain.backends.flags import set_temporarily

enabled: bool
benchmark: bool
benchmark_limit: int | None
deterministic: bool
allow_tf32: bool


def is_available() -> bool:
    """Whether cuDNN and the package nvidia-cudnn-frontend are installed
    (torch.backends.cudnn.is_available)."""
    return cudnn_plan.find_library() is not None


def version() -> int | None:
    """cuDNN's version, 91800 for 9.18.0; None if it is not installed
    (torch.backends.cudnn.version)."""
    library = cudnn_plan.find_library()
    return None if library is None else int(library.backend_version())


def is_acceptable(tensor: Any) -> bool:
    """Whether cuDNN may compute with a tensor: it is available and enabled, and the tensor is on a
    GPU, of float32 or a half (torch.backends.cudnn.is_acceptable)."""
    return cudnn_plan.is_enabled() and tensor.is_cuda and tensor.dtype.char in cudnn_plan.TYPES


def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int | None = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> AbstractContextManager[None]:
    """Context manager: set the switches for its body (torch.backends.cudnn.flags)."""
    return set_temporarily(
        vars(_switches),
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )


def _switch(name: str) -> Any:
    def get(_: types.ModuleType) -> Any:
        return getattr(_switches, name)

    def set_(_: types.ModuleType, value: Any) -> None:
        setattr(_switches, name, value)

    return property(get, set_)


class _Module(types.ModuleType):
    """The module's variables are those of the settings, which kernels read."""

    enabled = _switch("enabled")
    benchmark = _switch("benchmark")
    benchmark_limit = _switch("benchmark_limit")
    deterministic = _switch("deterministic")
    allow_tf32 = _switch("allow_tf32")


sys.modules[__name__].__class__ = _Module
