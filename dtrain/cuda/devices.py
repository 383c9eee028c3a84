"""Number, properties and current device of the machine's GPUs; synchronization (torch.cuda)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.device import (
    cuda_device_count as device_count,
    cuda_index,
    current_device,
    device as Device,
    module_on,
    use_device,
)


def is_available() -> bool:
    """Whether CuPy sees a GPU (torch.cuda.is_available)."""
    return device_count() > 0


def init() -> None:
    """Check that there is a GPU; CuPy is started at its first use (torch.cuda.init)."""
    module_on("cuda")


def is_initialized() -> bool:
    """Whether there is a GPU that can be used (torch.cuda.is_initialized)."""
    return is_available()


def gpu_name(where: Device | str | int | None) -> str:
    """The name, with its index, of a GPU given by index, device or name; None: the current one.

    >>> gpu_name(1)
    'cuda:1'
    """
    if where is None:
        where = current_device()
    return f"cuda:{where if isinstance(where, int) else cuda_index(where)}"


def synchronize(device: Device | str | int | None = None) -> None:
    """Wait until a GPU has finished its work (torch.cuda.synchronize)."""
    with use_device(gpu_name(device)):
        import cupy

        cupy.cuda.Device().synchronize()


class device:
    """Context manager: the current GPU of its body; None changes nothing (torch.cuda.device)."""

    def __init__(self, device: Device | str | int | None):
        changes = device is not None and not (isinstance(device, int) and device < 0)
        self._where = gpu_name(device) if changes else None
        self._entered: list[Any] = []

    def __enter__(self) -> None:
        context = use_device("cpu" if self._where is None else self._where)
        context.__enter__()
        self._entered.append(context)

    def __exit__(self, *exception: object) -> None:
        self._entered.pop().__exit__(None, None, None)


def device_of(obj: Tensor) -> device:
    """Context manager: the GPU of a tensor is the current one; a host tensor changes nothing."""
    return device(obj.device if obj.is_cuda else None)


@dataclass(frozen=True)
class _DeviceProperties:
    """The properties of a GPU (torch.cuda.get_device_properties)."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    L2_cache_size: int
    max_threads_per_multi_processor: int


def get_device_properties(device: Device | str | int | None = None) -> _DeviceProperties:
    """The name, capability, memory and processors of a GPU (torch.cuda.get_device_properties)."""
    where = gpu_name(device)
    cuda: Any = module_on(where).cuda
    found = cuda.runtime.getDeviceProperties(cuda_index(where))
    name = found["name"]
    return _DeviceProperties(
        name=name.decode() if isinstance(name, bytes) else str(name),
        major=int(found["major"]),
        minor=int(found["minor"]),
        total_memory=int(found["totalGlobalMem"]),
        multi_processor_count=int(found["multiProcessorCount"]),
        warp_size=int(found["warpSize"]),
        L2_cache_size=int(found["l2CacheSize"]),
        max_threads_per_multi_processor=int(found["maxThreadsPerMultiProcessor"]),
    )


def get_device_name(device: Device | str | int | None = None) -> str:
    """The name of a GPU, such as "NVIDIA A100-SXM4-40GB" (torch.cuda.get_device_name)."""
    return get_device_properties(device).name


def get_device_capability(device: Device | str | int | None = None) -> tuple[int, int]:
    """The compute capability, (major, minor) (torch.cuda.get_device_capability)."""
    with use_device(gpu_name(device)):
        import cupy

        number = str(cupy.cuda.Device().compute_capability)
        return int(number[:-1]), int(number[-1])


def get_arch_list() -> list[str]:
    """The architectures of this machine's GPUs, for which kernels are compiled at their first use.

    (torch.cuda.get_arch_list)
    """
    capabilities = {get_device_capability(index) for index in range(device_count())}
    return [f"sm_{major}{minor}" for major, minor in sorted(capabilities)]


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current GPU computes with bfloat16 (torch.cuda.is_bf16_supported).

    Its own instructions begin at capability 8.0; before, with `including_emulation`, kernels
    compute in float32 and round.
    """
    return is_available() and (including_emulation or get_device_capability() >= (8, 0))


def can_device_access_peer(device: Device | str | int, peer_device: Device | str | int) -> bool:
    """Whether one GPU can read the memory of another (torch.cuda.can_device_access_peer)."""
    cuda: Any = module_on(gpu_name(device)).cuda
    own, peer = cuda_index(gpu_name(device)), cuda_index(gpu_name(peer_device))
    return bool(cuda.runtime.deviceCanAccessPeer(own, peer))
