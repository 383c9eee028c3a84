"""The GPU, if there is one, without its kind's name (torch.accelerator)."""

from __future__ import annotations

from dtrain.backend.device import device
from dtrain.cuda import (
    Stream,
    current_device,
    current_stream as _current_stream,
    device as device_index,
    device_count as device_count,
    empty_cache as empty_cache,
    is_available as is_available,
    max_memory_allocated as max_memory_allocated,
    max_memory_reserved as max_memory_reserved,
    mem_get_info,
    memory_allocated as memory_allocated,
    memory_reserved as memory_reserved,
    memory_stats as memory_stats,
    reset_peak_memory_stats as reset_peak_memory_stats,
    set_device,
    set_stream as set_stream,
    synchronize as _synchronize,
)

__all__ = [
    "current_accelerator",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "set_device_index",
    "set_stream",
    "synchronize",
]


def current_accelerator(check_available: bool = False) -> device | None:
    """device("cuda") where CuPy sees a GPU, else None (torch.accelerator.current_accelerator)."""
    return device("cuda") if is_available() else None


def current_device_index() -> int:
    """The index of the current GPU (torch.accelerator.current_device_index)."""
    _require()
    return current_device()


def set_device_index(device: device | str | int) -> None:
    """Choose the current GPU (torch.accelerator.set_device_index)."""
    _require()
    set_device(device)


def current_stream(device: device | str | int | None = None) -> Stream:
    """The stream to which a GPU's work is submitted (torch.accelerator.current_stream)."""
    _require()
    return _current_stream(device)


def synchronize(device: device | str | int | None = None) -> None:
    """Wait until a GPU has finished its work (torch.accelerator.synchronize)."""
    _require()
    _synchronize(device)


def get_memory_info(device: device | str | int | None = None) -> tuple[int, int]:
    """The free and the total bytes of a GPU (torch.accelerator.get_memory_info)."""
    _require()
    return mem_get_info(device)


def _require() -> None:
    if not is_available():
        raise RuntimeError(
            "accelerator: this machine shows no CUDA devices to CuPy; ask is_available() first"
        )
