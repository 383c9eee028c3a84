"""Whether autocast is on, for which devices and in which dtype: one state per thread.

`dtrain.functions.autocast` reads it where operations convert their inputs, `dtrain.amp` sets it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import dtypes

#: The kinds of devices that autocast supports.
DEVICE_TYPES = ("cpu", "cuda")


class AutocastMode(NamedTuple):
    """The settings of autocast on a thread."""

    devices: frozenset[str] = frozenset()  # where it is on
    cpu_dtype: np.dtype | None = None  # None: bfloat16, imported when it is used
    cuda_dtype: np.dtype = dtypes.float16
    cache_enabled: bool = True

    def dtype(self, device_type: str) -> np.dtype:
        """The lower-precision dtype of operations on these devices."""
        if device_type == "cuda":
            return self.cuda_dtype
        return dtypes.bfloat16 if self.cpu_dtype is None else self.cpu_dtype


class CachedCast(NamedTuple):
    """A parameter converted to the lower precision, with the array and version it was made from."""

    source: Tensor
    values: Any  # the source's array when it was converted
    version: tuple[int, ...]  # and its version, which counts writes to `data`, too
    cast: Tensor


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.mode = AutocastMode()
        self.nesting = 0
        self.casts: dict[int, CachedCast] = {}


class _Process:
    #: whether autocast has been on, on any thread; until then operations check nothing else
    used: bool = False


process = _Process()
_state = _PerThread()


def get_mode() -> AutocastMode:
    """The settings of this thread."""
    return _state.mode


def set_mode(mode: AutocastMode) -> None:
    """Replace the settings of this thread."""
    process.used = process.used or bool(mode.devices)
    _state.mode = mode


def get_casts() -> dict[int, CachedCast]:
    """The cached casts of this thread, by the id of their source."""
    return _state.casts


def clear_autocast_cache() -> None:
    """Drop the cached casts of parameters (torch.clear_autocast_cache)."""
    _state.casts.clear()


def autocast_increment_nesting() -> int:
    """Count an entered context; returns their number (torch.autocast_increment_nesting)."""
    _state.nesting += 1
    return _state.nesting


def autocast_decrement_nesting() -> int:
    """Count a context that was left; returns their number (torch.autocast_decrement_nesting)."""
    _state.nesting -= 1
    return _state.nesting


@contextlib.contextmanager
def restored(mode: AutocastMode) -> Iterator[None]:
    """Run in these settings, with a cache of casts of its own."""
    if not process.used:
        yield
        return
    outside, casts = _state.mode, _state.casts
    _state.mode, _state.casts = mode, {}
    try:
        yield
    finally:
        _state.mode, _state.casts = outside, casts
