"""Bytes of GPU memory: allocated, reserved by CuPy's pool, peaks of both (torch.cuda.memory)."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

from dtrain.backend.capture import refuse_host_array
from dtrain.backend.device import device as Device, use_device
from dtrain.cuda.devices import gpu_name, is_available

#: Raised by CuPy, too, whose own class derives from it.
OutOfMemoryError = MemoryError

_GIB = 1 << 30


class _Peaks:
    """The most bytes allocated and reserved since the last reset, of each GPU by its name."""

    def __init__(self) -> None:
        self.allocated: dict[str, int] = {}
        self.reserved: dict[str, int] = {}
        self.hook: Any = None  # CuPy's, which counts allocations


class PrivatePool:
    """Memory of the arrays of CUDA graphs, apart from that of other arrays: a graph writes to it at
    each replay, whether or not they are still there."""

    def __init__(self) -> None:
        import cupy

        self.pool: Any = cupy.cuda.MemoryPool()
        _private_pools.add(self)

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Context manager: this thread's arrays have memory of this pool, and are not copied from
        host memory, which a graph would read again at each replay."""
        import cupy

        default = cupy.get_default_pinned_memory_pool().malloc

        def allocate(size: int) -> Any:
            refuse_host_array()
            return default(size)

        with cupy.cuda.using_allocator(self.pool.malloc):
            cupy.cuda.set_pinned_memory_allocator(allocate)
            try:
                yield
            finally:
                cupy.cuda.set_pinned_memory_allocator(default)


_private_pools: weakref.WeakSet[PrivatePool] = weakref.WeakSet()
_peaks = _Peaks()  # one for the process, as CuPy's pool is


def empty_cache() -> None:
    """Give back the memory that CuPy keeps for reuse (torch.cuda.empty_cache)."""
    if is_available():
        import cupy

        where = gpu_name(None)
        _peaks.reserved[where] = max_memory_reserved()
        cupy.get_default_memory_pool().free_all_blocks()


def ipc_collect() -> None:
    """Nothing: no memory is shared between processes by CUDA (torch.cuda.ipc_collect)."""


def memory_allocated(device: Device | str | int | None = None) -> int:
    """The bytes that arrays occupy on a GPU; 0 without one (torch.cuda.memory_allocated)."""
    return _read_pool("used_bytes", device)


def memory_reserved(device: Device | str | int | None = None) -> int:
    """The bytes that CuPy holds on a GPU, in use or not (torch.cuda.memory_reserved)."""
    return _read_pool("total_bytes", device)


def max_memory_allocated(device: Device | str | int | None = None) -> int:
    """The most bytes that arrays occupied on a GPU (torch.cuda.max_memory_allocated).

    It is counted from the first `reset_peak_memory_stats` on, and 0 without a GPU. Before that it
    is an upper bound: the most that CuPy held.
    """
    if not is_available():
        return 0
    if _peaks.hook is None:
        return max_memory_reserved(device)
    return max(_peaks.allocated.get(gpu_name(device), 0), memory_allocated(device))


def max_memory_reserved(device: Device | str | int | None = None) -> int:
    """The most bytes that CuPy held on a GPU (torch.cuda.max_memory_reserved)."""
    if not is_available():
        return 0
    return max(_peaks.reserved.get(gpu_name(device), 0), memory_reserved(device))


def reset_peak_memory_stats(device: Device | str | int | None = None) -> None:
    """Count peaks from now on (torch.cuda.reset_peak_memory_stats).

    The first call has every allocation counted, which takes about a microsecond each.
    """
    where = gpu_name(device)
    with use_device(where):
        if _peaks.hook is None:
            _peaks.hook = _count_allocations()
        _peaks.allocated[where] = memory_allocated(where)
        _peaks.reserved[where] = memory_reserved(where)


def reset_max_memory_allocated(device: Device | str | int | None = None) -> None:
    """The old name of `reset_peak_memory_stats` (torch.cuda.reset_max_memory_allocated)."""
    reset_peak_memory_stats(device)


def _count_allocations() -> Any:
    """Install a hook in CuPy that updates the most bytes allocated on each GPU."""
    import cupy

    class Hook(cupy.cuda.MemoryHook):
        name = "dtrain's peaks"

        def malloc_postprocess(self, **allocation: Any) -> None:
            where = f"cuda:{allocation['device_id']}"
            used = memory_allocated(where)
            _peaks.allocated[where] = max(_peaks.allocated.get(where, 0), used)

    hook = Hook()
    hook.__enter__()
    return hook


def mem_get_info(device: Device | str | int | None = None) -> tuple[int, int]:
    """The free and the total bytes of a GPU (torch.cuda.mem_get_info)."""
    with use_device(gpu_name(device)):
        import cupy

        free, total = cupy.cuda.runtime.memGetInfo()
        return int(free), int(total)


def memory_stats(device: Device | str | int | None = None) -> dict[str, int]:
    """Current and greatest sizes under PyTorch's names; empty without a GPU.

    (torch.cuda.memory_stats)
    """
    if not is_available():
        return {}
    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "reserved_bytes.all.peak": max_memory_reserved(device),
    }


def memory_summary(device: Device | str | int | None = None, abbreviated: bool = False) -> str:
    """`memory_stats` as a text (torch.cuda.memory_summary)."""
    where = gpu_name(device)
    free, total = mem_get_info(where)
    sizes = {**memory_stats(where), "free on the GPU": free, "size of the GPU": total}
    return "\n".join([where, *(f"{name:30} {n / _GIB:10.3f} GiB" for name, n in sizes.items())])


def set_per_process_memory_fraction(
    fraction: float, device: Device | str | int | None = None
) -> None:
    """Let CuPy hold at most a part of a GPU's memory.

    (torch.cuda.set_per_process_memory_fraction)
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"set_per_process_memory_fraction: expected 0 to 1, got {fraction}")
    with use_device(gpu_name(device)):
        import cupy

        total = cupy.cuda.runtime.memGetInfo()[1]
        cupy.get_default_memory_pool().set_limit(size=int(fraction * total))


def _read_pool(name: str, where: Device | str | int | None) -> int:
    if not is_available():
        return 0
    import cupy

    with use_device(gpu_name(where)):
        pools = cupy.get_default_memory_pool(), *(private.pool for private in _private_pools)
        return sum(int(getattr(pool, name)()) for pool in pools)
