"""Settings of PyTorch's. Four change results: whether float32 convolutions on a CPU may round more
than their definition and whether AMX may multiply float32 matrices, and, on a GPU, whether float32
products may round more and whether cuDNN computes. The others may be set and read, and change
nothing.

By default products are computed in the dtype of their operands, with sums in float32 for halves:
the highest precision. All operations are deterministic.
"""

from __future__ import annotations

import dataclasses
import warnings

_PRECISIONS = ("highest", "high", "medium")
_CPU_PRECISIONS = ("none", "ieee", "tf32", "bf16")
_MODES = ("default", "warn", "error")


@dataclasses.dataclass
class CudnnSwitches:
    """What `dtrain.backends.cudnn` shows and sets."""

    enabled: bool = True
    benchmark: bool = False
    benchmark_limit: int | None = None
    deterministic: bool = False
    allow_tf32: bool = True


cudnn = CudnnSwitches()
#: The algorithms of attention that `dtrain.backends.cuda` allows. Without "cudnn", dtrain's own
#: kernel computes; the others are all this kernel.
attention_algorithms = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


class _Settings:
    float32_matmul_precision = "highest"
    matmul_precision = "none"
    convolution_precision = "none"
    deterministic_mode = "default"


def set_float32_matmul_precision(precision: str) -> None:
    """Set the precision that is enough for products (torch.set_float32_matmul_precision).

    With "high" or "medium" a GPU rounds the factors of float32 products, those of convolutions,
    too, to TensorFloat32; the sums are float32. A CPU computes in float32, whatever is set.
    """
    if precision not in _PRECISIONS:
        warnings.warn(
            f"set_float32_matmul_precision: expected one of {', '.join(_PRECISIONS)}, got "
            f"{precision!r}: nothing is changed",
            stacklevel=2,
        )
        return
    _Settings.float32_matmul_precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` has set (torch.get_float32_matmul_precision)."""
    return _Settings.float32_matmul_precision


def _check_precision(precision: str) -> None:
    if precision not in _CPU_PRECISIONS:
        raise RuntimeError(
            f"fp32_precision: expected one of {', '.join(_CPU_PRECISIONS)}, got {precision!r}"
        )


def set_matmul_precision(precision: str) -> None:
    """Set the precision of float32 products on a CPU: "none", "ieee", "tf32" or "bf16".

    "ieee" has the BLAS compute them all. The others allow products by three parts in bfloat16,
    whose sums round less than the BLAS's, and nothing that is less exact.
    """
    _check_precision(precision)
    _Settings.matmul_precision = precision


def get_matmul_precision() -> str:
    """What `set_matmul_precision` set."""
    return _Settings.matmul_precision


def set_convolution_precision(precision: str) -> None:
    """Set the precision of float32 convolutions: "none", "ieee", "tf32" or "bf16".

    "ieee" excludes algorithms that round more than a convolution's definition. The others allow
    them, and nothing that is less exact.
    """
    _check_precision(precision)
    _Settings.convolution_precision = precision


def get_convolution_precision() -> str:
    """What `set_convolution_precision` set."""
    return _Settings.convolution_precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Note that algorithms have to be deterministic, which all are.

    (torch.use_deterministic_algorithms)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: expected a bool, got {mode!r}")
    _Settings.deterministic_mode = "default" if not mode else "warn" if warn_only else "error"


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was asked for."""
    return _Settings.deterministic_mode != "default"


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was asked for with `warn_only`."""
    return _Settings.deterministic_mode == "warn"


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by "default", "warn" or "error", or 0, 1 or 2."""
    if isinstance(debug_mode, int) and 0 <= debug_mode < len(_MODES):
        debug_mode = _MODES[debug_mode]
    if debug_mode not in _MODES:
        raise RuntimeError(
            f"set_deterministic_debug_mode: expected 'default', 'warn' or 'error', or 0 to 2, "
            f"got {debug_mode!r}"
        )
    _Settings.deterministic_mode = str(debug_mode)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: the mode by its number (torch.get_deterministic_debug_mode)."""
    return _MODES.index(_Settings.deterministic_mode)


def set_flush_denormal(mode: bool) -> bool:
    """Say whether denormal numbers can be flushed to zero: never (torch.set_flush_denormal).

    False, as in PyTorch where a processor cannot: NumPy computes with denormal numbers.
    """
    return False
