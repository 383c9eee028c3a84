"""Array modules, devices, dtypes and random numbers."""

from dtrain.backend.array_module import (
    Array as Array,
    address as address,
    array_module as array_module,
    is_cupy as is_cupy,
    is_writable as is_writable,
    pieces as pieces,
    to_host as to_host,
)
from dtrain.backend.device import (
    cuda_device_count as cuda_device_count,
    cuda_index as cuda_index,
    device as device,
    device_of as device_of,
    module_on as module_on,
    move as move,
    on_device_of as on_device_of,
    share_gpus as share_gpus,
    use_device as use_device,
)
from dtrain.backend.memory import keep_freed_memory as _keep_freed_memory
from dtrain.backend.random import (
    Generator as Generator,
    default_generator as default_generator,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
)

_keep_freed_memory()
