"""Switches of cuDNN, which dtrain does not use (torch.backends.cudnn).

Convolutions on a GPU are dtrain's own kernels: deterministic, in the precision of their inputs,
and without trials to find the fastest.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from dtrain.backends.flags import set_temporarily

enabled: bool = True
benchmark: bool = False
benchmark_limit: int | None = None
deterministic: bool = False
allow_tf32: bool = True


def is_available() -> bool:
    """False: cuDNN is not used (torch.backends.cudnn.is_available)."""
    return False


def version() -> int | None:
    """None: cuDNN is not used (torch.backends.cudnn.version)."""
    return None


def is_acceptable(tensor: object) -> bool:
    """False: cuDNN is not used (torch.backends.cudnn.is_acceptable)."""
    return False


def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int | None = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> AbstractContextManager[None]:
    """Context manager: set the switches for its body (torch.backends.cudnn.flags)."""
    return set_temporarily(
        globals(),
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
