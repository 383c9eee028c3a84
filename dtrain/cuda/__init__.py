"""GPUs, by CuPy: their number, memory, streams and random numbers (torch.cuda)."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from dtrain.backend.device import (
    current_device as current_device,
    set_device as set_device,
)
from dtrain.cuda import nvtx as nvtx
from dtrain.cuda.devices import (
    can_device_access_peer as can_device_access_peer,
    device as device,
    device_count as device_count,
    device_of as device_of,
    get_arch_list as get_arch_list,
    get_device_capability as get_device_capability,
    get_device_name as get_device_name,
    get_device_properties as get_device_properties,
    init as init,
    is_available as is_available,
    is_bf16_supported as is_bf16_supported,
    is_initialized as is_initialized,
    synchronize as synchronize,
)
from dtrain.cuda.graphed_callables import make_graphed_callables as make_graphed_callables
from dtrain.cuda.graphs import (
    CUDAGraph as CUDAGraph,
    graph as graph,
    graph_pool_handle as graph_pool_handle,
    is_current_stream_capturing as is_current_stream_capturing,
)
from dtrain.cuda.memory import (
    OutOfMemoryError as OutOfMemoryError,
    empty_cache as empty_cache,
    ipc_collect as ipc_collect,
    max_memory_allocated as max_memory_allocated,
    max_memory_reserved as max_memory_reserved,
    mem_get_info as mem_get_info,
    memory_allocated as memory_allocated,
    memory_reserved as memory_reserved,
    memory_stats as memory_stats,
    memory_summary as memory_summary,
    reset_max_memory_allocated as reset_max_memory_allocated,
    reset_peak_memory_stats as reset_peak_memory_stats,
    set_per_process_memory_fraction as set_per_process_memory_fraction,
)
from dtrain.cuda.random import (
    get_rng_state as get_rng_state,
    get_rng_state_all as get_rng_state_all,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    manual_seed_all as manual_seed_all,
    seed as seed,
    seed_all as seed_all,
    set_rng_state as set_rng_state,
    set_rng_state_all as set_rng_state_all,
)
from dtrain.cuda.streams import (
    Event as Event,
    Stream as Stream,
    current_stream as current_stream,
    default_stream as default_stream,
    set_stream as set_stream,
    stream as stream,
)
from dtrain.functions.tensor_types import CUDA_TYPES as _TYPES

if _TYPE_CHECKING:
    from dtrain.functions.tensor_types import (
        BFloat16Tensor as BFloat16Tensor,
        BoolTensor as BoolTensor,
        ByteTensor as ByteTensor,
        CharTensor as CharTensor,
        DoubleTensor as DoubleTensor,
        FloatTensor as FloatTensor,
        HalfTensor as HalfTensor,
        IntTensor as IntTensor,
        LongTensor as LongTensor,
        ShortTensor as ShortTensor,
    )

globals().update(_TYPES)
_MODULES = {
    "amp",
    "devices",
    "graphed_call",
    "graphed_callables",
    "graphs",
    "memory",
    "nvtx",
    "random",
    "streams",
}
__all__ = sorted({name for name in globals() if name[0] != "_"} - _MODULES)
