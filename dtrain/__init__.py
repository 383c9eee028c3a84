"""dtrain: trains neural networks on many processes, to the same bits on any number of them.

The names are PyTorch's where PyTorch has them: ``import dtrain as torch``.
"""

from math import e, inf, nan, pi
from typing import Any as _Any

from numpy import dtype

from dtrain import (
    autograd,
    checkpoint,
    data,
    distributed,
    errors,
    linalg,
    models,
    nn,
    optim,
    special,
    train,
    utils,
)
from dtrain.autograd import (
    Tensor,
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_printoptions,
)
from dtrain.backend import Generator, cuda, device, dtypes as _dtypes, initial_seed, manual_seed
from dtrain.backend.dtypes import (
    bool_ as bool,
    can_cast,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from dtrain.backend.layout import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    strided,
)
from dtrain.backend.random import get_rng_state, seed, set_rng_state
from dtrain.backend.size import Size
from dtrain.backend.threads import get_num_threads, set_num_threads
from dtrain.checkpoint import load, save
from dtrain.functions import creation as _creation, types as _types
from dtrain.functions.creation import *  # noqa: F403
from dtrain.functions.creation import random as _sampling, windows as _windows
from dtrain.functions.creation.random import *  # noqa: F403
from dtrain.functions.creation.windows import *  # noqa: F403
from dtrain.functions.table import PUBLIC_FUNCTIONS as _FUNCTIONS
from dtrain.functions.types import *  # noqa: F403
from dtrain.functions.types import TYPES as _TYPES, make_type_constructor as _typed
from dtrain.parallel import DataParallel, ZeroRedundancyOptimizer

#: Functions of `nn.functional` that PyTorch has here, too.
_OF_NN = [
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "alpha_dropout", "avg_pool1d", "bilinear",
    "celu", "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "dropout", "group_norm",
    "hardshrink", "layer_norm", "max_pool1d", "max_pool2d", "max_pool3d", "pairwise_distance",
    "pixel_shuffle", "pixel_unshuffle", "prelu", "rms_norm", "rrelu", "selu", "threshold",
]  # fmt: skip
globals().update({name: getattr(nn.functional, name) for name in _OF_NN})
globals().update({name: _typed(name) for name in _TYPES})
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
newaxis = None

globals().update(_FUNCTIONS)


def __getattr__(name: str) -> _Any:
    if name == "bfloat16":  # imports ml_dtypes
        return _dtypes.bfloat16
    raise AttributeError(f"module 'dtrain' has no attribute {name!r}")


__version__ = "0.1.0"
__all__ = sorted(
    {
        "DataParallel", "Generator", "Size", "Tensor", "ZeroRedundancyOptimizer", "autograd",
        "bfloat16", "bool", "can_cast",
        "channels_last", "channels_last_3d", "checkpoint", "contiguous_format", "cuda", "data",
        "device", "distributed", "double", "dtype", "e", "enable_grad", "errors", "finfo", "float",
        "float16",
        "float32", "float64", "get_default_dtype", "get_num_threads", "get_rng_state", "half",
        "iinfo", "inf", "is_inference_mode_enabled",
        "inference_mode", "initial_seed", "int", "int16", "int32", "int64", "int8",
        "is_anomaly_enabled", "is_grad_enabled", "layout", "linalg", "load", "long",
        "manual_seed", "memory_format", "models",
        "nan", "newaxis", "nn", "no_grad", "optim", "pi", "preserve_format", "promote_types",
        "save", "seed",
        "set_default_dtype", "set_grad_enabled", "set_num_threads", "set_printoptions",
        "set_rng_state", "short", "special", "strided",
        "train", "uint8", "utils",
        *_FUNCTIONS, *_OF_NN, *_TYPES, *_creation.__all__, *_sampling.__all__, *_types.__all__,
        *_windows.__all__,
    }
)  # fmt: skip
