"""Floor 1: array modules, devices, dtypes and random numbers."""

from dtrain.backend import cuda
from dtrain.backend.array_module import Array, address, array_module, pieces, to_host
from dtrain.backend.device import (
    cuda_device_count,
    cuda_index,
    device,
    device_of,
    module_on,
    move,
    on_device_of,
    share_gpus,
    use_device,
)
from dtrain.backend.memory import keep_freed_memory
from dtrain.backend.random import Generator, default_generator, initial_seed, manual_seed

__all__ = [
    "Array",
    "Generator",
    "address",
    "array_module",
    "cuda",
    "cuda_device_count",
    "cuda_index",
    "default_generator",
    "device",
    "device_of",
    "initial_seed",
    "manual_seed",
    "module_on",
    "move",
    "on_device_of",
    "pieces",
    "share_gpus",
    "to_host",
    "use_device",
]

keep_freed_memory()
