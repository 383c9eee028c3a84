"""dtrain: trains neural networks on many processes, to the same bits on any number of them.

The names are PyTorch's where PyTorch has them: ``import dtrain as torch``.
"""

import gc as _gc
import importlib as _importlib
from math import e as e, inf as inf, nan as nan, pi as pi
from typing import TYPE_CHECKING as _TYPE_CHECKING, Any as _Any

from numpy import dtype as dtype

# Collections would find nothing in what the imports below make, and take a fifth of their time.
_collects = _gc.isenabled()
_gc.disable()

from dtrain import (
    accelerator as accelerator,
    amp as amp,
    autograd as autograd,
    backends as backends,
    checkpoint as checkpoint,
    cpu as cpu,
    cuda as cuda,
    data as data,
    distributed as distributed,
    errors as errors,
    fft as fft,
    func as func,
    linalg as linalg,
    nn as nn,
    optim as optim,
    parallel as parallel,
    profiler as profiler,
    sparse as sparse,
    special as special,
    testing as testing,
    utils as utils,
)
from dtrain.amp.autocast_mode import (
    autocast as autocast,
    get_autocast_cpu_dtype as get_autocast_cpu_dtype,
    get_autocast_dtype as get_autocast_dtype,
    get_autocast_gpu_dtype as get_autocast_gpu_dtype,
    is_autocast_cache_enabled as is_autocast_cache_enabled,
    is_autocast_cpu_enabled as is_autocast_cpu_enabled,
    is_autocast_enabled as is_autocast_enabled,
    set_autocast_cache_enabled as set_autocast_cache_enabled,
    set_autocast_cpu_dtype as set_autocast_cpu_dtype,
    set_autocast_cpu_enabled as set_autocast_cpu_enabled,
    set_autocast_dtype as set_autocast_dtype,
    set_autocast_enabled as set_autocast_enabled,
    set_autocast_gpu_dtype as set_autocast_gpu_dtype,
)
from dtrain.amp.grad_scaler import GradScaler as GradScaler
from dtrain.autograd import (
    Tensor as Tensor,
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_anomaly_enabled as is_anomaly_enabled,
    is_grad_enabled as is_grad_enabled,
    is_inference_mode_enabled as is_inference_mode_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
    set_printoptions as set_printoptions,
)
from dtrain.autograd.autocast_mode import (
    autocast_decrement_nesting as autocast_decrement_nesting,
    autocast_increment_nesting as autocast_increment_nesting,
    clear_autocast_cache as clear_autocast_cache,
)
from dtrain.backend import (
    Generator as Generator,
    device as device,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
)
from dtrain.backend.device import (
    get_default_device as get_default_device,
    set_default_device as set_default_device,
)
from dtrain.backend.dtypes import (
    bfloat16 as bfloat16,
    bool_ as bool,
    can_cast as can_cast,
    complex64 as cfloat,
    complex64 as complex64,
    complex128 as cdouble,
    complex128 as complex128,
    finfo as finfo,
    float16 as float16,
    float16 as half,
    float32 as float,
    float32 as float32,
    float64 as double,
    float64 as float64,
    get_default_dtype as get_default_dtype,
    iinfo as iinfo,
    int8 as int8,
    int16 as int16,
    int16 as short,
    int32 as int,
    int32 as int32,
    int64 as int64,
    int64 as long,
    promote_types as promote_types,
    set_default_dtype as set_default_dtype,
    uint8 as uint8,
)
from dtrain.backend.layout import (
    channels_last as channels_last,
    channels_last_3d as channels_last_3d,
    contiguous_format as contiguous_format,
    layout as layout,
    memory_format as memory_format,
    preserve_format as preserve_format,
    sparse_coo as sparse_coo,
    strided as strided,
)
from dtrain.backend.random import (
    get_rng_state as get_rng_state,
    seed as seed,
    set_rng_state as set_rng_state,
)
from dtrain.backend.settings import (
    are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode as get_deterministic_debug_mode,
    get_float32_matmul_precision as get_float32_matmul_precision,
    is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
    set_deterministic_debug_mode as set_deterministic_debug_mode,
    set_float32_matmul_precision as set_float32_matmul_precision,
    set_flush_denormal as set_flush_denormal,
    use_deterministic_algorithms as use_deterministic_algorithms,
)
from dtrain.backend.size import Size as Size
from dtrain.backend.threads import (
    get_num_threads as get_num_threads,
    set_num_threads as set_num_threads,
)
from dtrain.checkpoint import load as load, save as save
from dtrain.cuda import OutOfMemoryError as OutOfMemoryError
from dtrain.functions.sparse import mm as spmm, sparse_coo_tensor as sparse_coo_tensor
from dtrain.functions.table import PUBLIC_FUNCTIONS as _FUNCTIONS
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
    set_default_tensor_type as set_default_tensor_type,
)
from dtrain.nn.functional import (
    adaptive_avg_pool1d as adaptive_avg_pool1d,
    adaptive_max_pool1d as adaptive_max_pool1d,
    alpha_dropout as alpha_dropout,
    avg_pool1d as avg_pool1d,
    bilinear as bilinear,
    celu as celu,
    channel_shuffle as channel_shuffle,
    conv1d as conv1d,
    conv2d as conv2d,
    conv3d as conv3d,
    conv_transpose1d as conv_transpose1d,
    conv_transpose2d as conv_transpose2d,
    conv_transpose3d as conv_transpose3d,
    cosine_similarity as cosine_similarity,
    dropout as dropout,
    group_norm as group_norm,
    hardshrink as hardshrink,
    layer_norm as layer_norm,
    max_pool1d as max_pool1d,
    max_pool2d as max_pool2d,
    max_pool3d as max_pool3d,
    pairwise_distance as pairwise_distance,
    pixel_shuffle as pixel_shuffle,
    pixel_unshuffle as pixel_unshuffle,
    prelu as prelu,
    rms_norm as rms_norm,
    rrelu as rrelu,
    selu as selu,
    threshold as threshold,
)
from dtrain.parallel import (
    DataParallel as DataParallel,
    ZeroRedundancyOptimizer as ZeroRedundancyOptimizer,
)

if _TYPE_CHECKING:
    from dtrain import (
        compiler as compiler,
        distributions as distributions,
        jit as jit,
        models as models,
        multiprocessing as multiprocessing,
        onnx as onnx,
        train as train,
        vision as vision,
    )
    from dtrain.jit.compiling import compile as compile

__version__ = "0.1.0"
newaxis = None
globals().update(_FUNCTIONS)

#: modules that not every program needs: each is imported when it is first named
_LAZY = {
    "compiler", "distributions", "jit", "models", "multiprocessing", "onnx", "train", "vision",
}  # fmt: skip
_INTERNAL = {"backend", "env", "functions", "primitives"}
__all__ = sorted({name for name in globals() if name[0] != "_"} - _INTERNAL | {"compile", *_LAZY})


def __getattr__(name: str) -> _Any:
    if name == "compile":
        return _importlib.import_module("dtrain.jit.compiling").compile
    if name in _LAZY:
        return _importlib.import_module(f"dtrain.{name}")
    raise AttributeError(f"module 'dtrain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__all__", "__doc__", "__version__"]


from dtrain.as_torch.einops import teach_einops as _teach_einops
from dtrain.as_torch.finder import explain_missing_names as _explain_missing_names

_explain_missing_names()
_teach_einops()
if _collects:
    _gc.enable()
