"""GPUs: their number, names and memory, the current one, waiting for it (torch.cuda)."""

from __future__ import annotations

from typing import Any

from dtrain.backend.device import (
    cuda_device_count as device_count,
    cuda_index,
    current_device as current_device,
    device as Device,
    set_device as set_device,
    use_device,
)
from dtrain.backend.random import manual_seed as _seed_generator

#: Raised by CuPy, too, whose own class derives from it.
OutOfMemoryError = MemoryError


def is_available() -> bool:
    """Whether CuPy sees a GPU (torch.cuda.is_available)."""
    return device_count() > 0


def synchronize() -> None:
    """Wait until the current stream has finished its work (torch.cuda.synchronize)."""
    import cupy

    cupy.cuda.get_current_stream().synchronize()


def manual_seed(seed: int) -> None:
    """Seed the random numbers of GPUs (torch.cuda.manual_seed); nothing without one.

    There is one generator for all devices: `dtrain.manual_seed`'s.
    """
    if is_available():
        _seed_generator(seed)


def manual_seed_all(seed: int) -> None:
    """`manual_seed`, which is for all GPUs (torch.cuda.manual_seed_all)."""
    manual_seed(seed)


def empty_cache() -> None:
    """Give back the memory that CuPy keeps for reuse (torch.cuda.empty_cache)."""
    if is_available():
        import cupy

        cupy.get_default_memory_pool().free_all_blocks()


def memory_allocated(device: Device | str | int | None = None) -> int:
    """The bytes that arrays occupy on a GPU; 0 without one (torch.cuda.memory_allocated)."""
    return _read_pool("used_bytes", device)


def memory_reserved(device: Device | str | int | None = None) -> int:
    """The bytes that CuPy holds on a GPU, in use or not (torch.cuda.memory_reserved)."""
    return _read_pool("total_bytes", device)


def max_memory_allocated(device: Device | str | int | None = None) -> int:
    """Refused: CuPy does not keep the largest number (torch.cuda.max_memory_allocated)."""
    raise NotImplementedError(
        "cuda.max_memory_allocated: CuPy keeps no maximum; ask memory_allocated() where it counts"
    )


def _read_pool(name: str, where: Device | str | int | None) -> int:
    if not is_available():
        return 0
    import cupy

    with use_device(_gpu(where)):
        return int(getattr(cupy.get_default_memory_pool(), name)())


def _gpu(where: Any) -> str:
    """The device of a number, of a device or its name, or the current one."""
    if where is None:
        where = current_device()
    return f"cuda:{where if isinstance(where, int) else cuda_index(where)}"


def get_device_capability(device: Device | str | int | None = None) -> tuple[int, int]:
    """The compute capability, (major, minor) (torch.cuda.get_device_capability)."""
    with use_device(_gpu(device)):
        import cupy

        number = str(cupy.cuda.Device().compute_capability)
        return int(number[:-1]), int(number[-1])


def is_bf16_supported() -> bool:
    """Whether the current GPU computes with bfloat16: from capability 8.0 on."""
    return is_available() and get_device_capability() >= (8, 0)
