"""GPUs: their number, the current one, waiting for it (torch.cuda)."""

from __future__ import annotations

from dtrain.backend.device import (
    cuda_device_count as device_count,
    current_device as current_device,
    set_device as set_device,
)


def is_available() -> bool:
    """Whether CuPy sees a GPU (torch.cuda.is_available)."""
    return device_count() > 0


def synchronize() -> None:
    """Wait until the current stream has finished its work (torch.cuda.synchronize)."""
    import cupy

    cupy.cuda.get_current_stream().synchronize()
