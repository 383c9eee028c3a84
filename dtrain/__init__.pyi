"""dtrain: trains neural networks on many processes, to the same bits on any number of them.

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from collections.abc import Sequence
from dtrain import (
    accelerator as accelerator,
    amp as amp,
    autograd as autograd,
    backends as backends,
    checkpoint as checkpoint,
    compiler as compiler,
    cpu as cpu,
    cuda as cuda,
    data as data,
    distributed as distributed,
    distributions as distributions,
    errors as errors,
    fft as fft,
    func as func,
    jit as jit,
    linalg as linalg,
    models as models,
    multiprocessing as multiprocessing,
    nn as nn,
    onnx as onnx,
    optim as optim,
    parallel as parallel,
    profiler as profiler,
    sparse as sparse,
    special as special,
    testing as testing,
    train as train,
    utils as utils,
    vision as vision,
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
    DeviceLike,
    get_default_device as get_default_device,
    set_default_device as set_default_device,
)
from dtrain.backend.dtypes import (
    DTypeLike,
    bfloat16 as bfloat16,
    bool_ as bool,
    can_cast as can_cast,
    complex128 as cdouble,
    complex128 as complex128,
    complex64 as cfloat,
    complex64 as complex64,
    finfo as finfo,
    float16 as float16,
    float16 as half,
    float32 as float,
    float32 as float32,
    float64 as double,
    float64 as float64,
    get_default_dtype as get_default_dtype,
    iinfo as iinfo,
    int16 as int16,
    int16 as short,
    int32 as int,
    int32 as int32,
    int64 as int64,
    int64 as long,
    int8 as int8,
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
from dtrain.functions.linalg.factorizations import QR, TorchSVD
from dtrain.functions.linalg.lu import PLU
from dtrain.functions.linalg.norms import Slogdet
from dtrain.functions.linalg.triangular import TriangularSolve
from dtrain.functions.operands import Dims, Number
from dtrain.functions.reductions import MinAndMax, ValuesAndIndices
from dtrain.functions.rounding import MantissaAndExponent
from dtrain.functions.sparse import mm as spmm, sparse_coo_tensor as sparse_coo_tensor
from dtrain.functions.statistics import CountsAndEdges
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
from dtrain.jit.compiling import compile as compile
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
from math import e as e, inf as inf, nan as nan, pi as pi
from numpy import dtype as dtype
from typing import Any, Literal, SupportsIndex, overload
import builtins
import numpy as np

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DataParallel",
    "DoubleTensor",
    "FloatTensor",
    "Generator",
    "GradScaler",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "OutOfMemoryError",
    "ShortTensor",
    "Size",
    "Tensor",
    "ZeroRedundancyOptimizer",
    "abs",
    "absolute",
    "accelerator",
    "acos",
    "acosh",
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "add",
    "addbmm",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "addr",
    "adjoint",
    "all",
    "allclose",
    "alpha_dropout",
    "amax",
    "amin",
    "aminmax",
    "amp",
    "angle",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "are_deterministic_algorithms_enabled",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "as_strided",
    "as_tensor",
    "asarray",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "autocast",
    "autocast_decrement_nesting",
    "autocast_increment_nesting",
    "autograd",
    "avg_pool1d",
    "backends",
    "baddbmm",
    "bartlett_window",
    "bernoulli",
    "bfloat16",
    "bilinear",
    "bincount",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "blackman_window",
    "block_diag",
    "bmm",
    "bool",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "bucketize",
    "can_cast",
    "cartesian_prod",
    "cat",
    "cdist",
    "cdouble",
    "ceil",
    "celu",
    "cfloat",
    "chain_matmul",
    "channel_shuffle",
    "channels_last",
    "channels_last_3d",
    "checkpoint",
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clear_autocast_cache",
    "clip",
    "clone",
    "column_stack",
    "combinations",
    "compile",
    "compiler",
    "complex",
    "complex128",
    "complex64",
    "concat",
    "concatenate",
    "conj",
    "conj_physical",
    "contiguous_format",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "copysign",
    "corrcoef",
    "cos",
    "cosh",
    "cosine_similarity",
    "count_nonzero",
    "cov",
    "cpu",
    "cross",
    "cuda",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "data",
    "deg2rad",
    "det",
    "device",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diagonal_scatter",
    "diff",
    "digamma",
    "dist",
    "distributed",
    "distributions",
    "div",
    "divide",
    "dot",
    "double",
    "dropout",
    "dsplit",
    "dstack",
    "dtype",
    "e",
    "einsum",
    "empty",
    "empty_like",
    "empty_permuted",
    "empty_strided",
    "enable_grad",
    "eq",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "errors",
    "exp",
    "exp2",
    "expm1",
    "eye",
    "fft",
    "fill",
    "finfo",
    "fix",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "float",
    "float16",
    "float32",
    "float64",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "frexp",
    "from_dlpack",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "func",
    "gather",
    "gcd",
    "ge",
    "ger",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "get_default_device",
    "get_default_dtype",
    "get_deterministic_debug_mode",
    "get_float32_matmul_precision",
    "get_num_threads",
    "get_rng_state",
    "gradient",
    "greater",
    "greater_equal",
    "group_norm",
    "gt",
    "half",
    "hamming_window",
    "hann_window",
    "hardshrink",
    "heaviside",
    "histc",
    "histogram",
    "hsplit",
    "hstack",
    "hypot",
    "i0",
    "iinfo",
    "imag",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_reduce",
    "index_select",
    "inf",
    "inference_mode",
    "initial_seed",
    "inner",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "inverse",
    "is_anomaly_enabled",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "is_complex",
    "is_conj",
    "is_deterministic_algorithms_warn_only_enabled",
    "is_floating_point",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_neg",
    "is_nonzero",
    "is_same_size",
    "is_tensor",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "istft",
    "jit",
    "kaiser_window",
    "kron",
    "kthvalue",
    "layer_norm",
    "layout",
    "lcm",
    "ldexp",
    "le",
    "lerp",
    "less",
    "less_equal",
    "lgamma",
    "linalg",
    "linspace",
    "load",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logcumsumexp",
    "logdet",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logspace",
    "logsumexp",
    "long",
    "lt",
    "lu",
    "lu_solve",
    "lu_unpack",
    "manual_seed",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "matmul",
    "matrix_exp",
    "matrix_power",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "maximum",
    "mean",
    "median",
    "memory_format",
    "meshgrid",
    "min",
    "minimum",
    "mm",
    "mode",
    "models",
    "moveaxis",
    "movedim",
    "msort",
    "mul",
    "multinomial",
    "multiply",
    "multiprocessing",
    "mv",
    "mvlgamma",
    "nan",
    "nan_to_num",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "negative",
    "newaxis",
    "nextafter",
    "nn",
    "no_grad",
    "nonzero",
    "norm",
    "normal",
    "not_equal",
    "numel",
    "ones",
    "ones_like",
    "onnx",
    "optim",
    "outer",
    "pairwise_distance",
    "parallel",
    "pdist",
    "permute",
    "pi",
    "pinverse",
    "pixel_shuffle",
    "pixel_unshuffle",
    "polar",
    "polygamma",
    "positive",
    "pow",
    "prelu",
    "preserve_format",
    "prod",
    "profiler",
    "promote_types",
    "put",
    "qr",
    "quantile",
    "rad2deg",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "range",
    "ravel",
    "real",
    "reciprocal",
    "relu",
    "remainder",
    "renorm",
    "repeat_interleave",
    "reshape",
    "resolve_conj",
    "resolve_neg",
    "result_type",
    "rms_norm",
    "roll",
    "rot90",
    "round",
    "row_stack",
    "rrelu",
    "rsqrt",
    "rsub",
    "save",
    "scalar_tensor",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "searchsorted",
    "seed",
    "select",
    "select_scatter",
    "selu",
    "set_autocast_cache_enabled",
    "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled",
    "set_autocast_dtype",
    "set_autocast_enabled",
    "set_autocast_gpu_dtype",
    "set_default_device",
    "set_default_dtype",
    "set_default_tensor_type",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_grad_enabled",
    "set_num_threads",
    "set_printoptions",
    "set_rng_state",
    "sgn",
    "short",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "slice_scatter",
    "slogdet",
    "softmax",
    "sort",
    "sparse",
    "sparse_coo",
    "sparse_coo_tensor",
    "special",
    "split",
    "split_with_sizes",
    "spmm",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "std_mean",
    "stft",
    "strided",
    "sub",
    "subtract",
    "sum",
    "svd",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "tensor",
    "tensor_split",
    "tensordot",
    "testing",
    "threshold",
    "tile",
    "topk",
    "trace",
    "train",
    "transpose",
    "trapezoid",
    "trapz",
    "triangular_solve",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "true_divide",
    "trunc",
    "uint8",
    "unbind",
    "unflatten",
    "unique",
    "unique_consecutive",
    "unravel_index",
    "unsqueeze",
    "use_deterministic_algorithms",
    "utils",
    "vander",
    "var",
    "var_mean",
    "vdot",
    "view_as_complex",
    "view_as_real",
    "vision",
    "vsplit",
    "vstack",
    "where",
    "xlogy",
    "zero_",
    "zeros",
    "zeros_like",
]

__version__: str
def abs(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """|input|; of complex numbers a real tensor (torch.abs)."""
def absolute(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """|input|; of complex numbers a real tensor (torch.abs)."""
def acos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in [0, pi] of which x is the cosine (torch.acos)."""
def acosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The number of which x, at least 1, is the hyperbolic cosine (torch.acosh)."""
def add(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input + alpha * other (torch.add)."""
def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * the sum of batch1 @ batch2 over the batch (torch.addbmm)."""
def addcdiv(
    input: Tensor,
    tensor1: Tensor,
    tensor2: Tensor,
    *,
    value: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input + value * tensor1 / tensor2 (torch.addcdiv)."""
def addcmul(
    input: Tensor,
    tensor1: Tensor | Number,
    tensor2: Tensor | Number,
    *,
    value: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input + value * tensor1 * tensor2 (torch.addcmul)."""
def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * mat1 @ mat2 (torch.addmm)."""
def addmv(
    input: Tensor,
    mat: Tensor,
    vec: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * mat @ vec (torch.addmv)."""
def addr(
    input: Tensor,
    vec1: Tensor,
    vec2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2) (torch.addr)."""
def adjoint(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The last two dimensions transposed, complex numbers conjugated (torch.adjoint)."""
def all(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Whether all are nonzero (torch.all)."""
def allclose(
    input: Tensor,
    other: Tensor,
    rtol: builtins.float = 1e-05,
    atol: builtins.float = 1e-08,
    equal_nan: builtins.bool = False,
) -> builtins.bool:
    """Whether all elements are close, as a bool (torch.allclose)."""
def amax(
    input: Tensor,
    dim: Any = (),
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The maximum; equal maxima share the gradient (torch.amax)."""
def amin(
    input: Tensor,
    dim: Any = (),
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The minimum; equal minima share the gradient (torch.amin)."""
def aminmax(
    input: Tensor,
    *,
    dim: builtins.int | None = None,
    keepdim: builtins.bool = False,
    out: tuple[Tensor, ...] | None = None,
) -> MinAndMax:
    """(minimum, maximum) of all, or along `dim` (torch.aminmax)."""
def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle of complex numbers (torch.angle)."""
def any(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Whether one is nonzero (torch.any)."""
def arange(
    start: builtins.float,
    end: builtins.float | None = None,
    step: builtins.float = 1,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Numbers from `start` up to, not including, `end` (torch.arange)."""
def arccos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in [0, pi] of which x is the cosine (torch.acos)."""
def arccosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The number of which x, at least 1, is the hyperbolic cosine (torch.acosh)."""
def arcsin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in [-pi/2, pi/2] of which x is the sine (torch.asin)."""
def arcsinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The number of which x is the hyperbolic sine (torch.asinh)."""
def arctan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in (-pi/2, pi/2) of which x is the tangent (torch.atan)."""
def arctan2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0 (torch.atan2)."""
def arctanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The number of which x is the hyperbolic tangent (torch.atanh)."""
def argmax(
    input: Tensor,
    dim: builtins.int | None = None,
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The index of the first maximum (torch.argmax)."""
def argmin(
    input: Tensor,
    dim: builtins.int | None = None,
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The index of the first minimum (torch.argmin)."""
def argsort(
    input: Tensor,
    dim: builtins.int = -1,
    descending: builtins.bool = False,
    stable: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Where the sorted values are along `dim`; equal ones keep their order (torch.argsort)."""
def argwhere(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Indices of the elements that are not zero, a row each (torch.argwhere)."""
def as_strided(
    input: Tensor,
    size: Sequence[builtins.int],
    stride: Sequence[builtins.int],
    storage_offset: builtins.int | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """A view with any sizes and steps of the memory of a tensor (torch.as_strided)."""
def as_tensor(data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """`data` as a tensor, without a copy if possible (torch.as_tensor)."""
def asarray(
    obj: Any,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    copy: builtins.bool | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """`obj` as a tensor; `copy`: True copies, False never does, None if needed (torch.asarray)."""
def asin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in [-pi/2, pi/2] of which x is the sine (torch.asin)."""
def asinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The number of which x is the hyperbolic sine (torch.asinh)."""
def atan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in (-pi/2, pi/2) of which x is the tangent (torch.atan)."""
def atan2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (y, x), its second coordinate first; the gradient at (0, 0) is 0 (torch.atan2)."""
def atanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The number of which x is the hyperbolic tangent (torch.atanh)."""
def atleast_1d(*tensors: Any) -> Any:
    """With one dimension, if there is none (torch.atleast_1d)."""
def atleast_2d(*tensors: Any) -> Any:
    """With two dimensions, if there are fewer: a vector is a row (torch.atleast_2d)."""
def atleast_3d(*tensors: Any) -> Any:
    """With three dimensions, if there are fewer (torch.atleast_3d)."""
def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * batch1 @ batch2, pair by pair (torch.baddbmm)."""
def bartlett_window(
    window_length: builtins.int,
    periodic: builtins.bool = True,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """A triangle (torch.bartlett_window)."""
def bernoulli(
    input: Tensor,
    p: builtins.float | None = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """1 with the probabilities in `input`, or p for all, else 0 (torch.bernoulli)."""
def bincount(
    input: Tensor,
    weights: Tensor | None = None,
    minlength: builtins.int = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The number of occurrences of each integer, or the sum of their weights (torch.bincount)."""
def bitwise_and(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.bitwise_and of each pair (torch.bitwise_and)."""
def bitwise_left_shift(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.left_shift of each pair (torch.bitwise_left_shift)."""
def bitwise_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Each bit, or each bool, inverted (torch.bitwise_not)."""
def bitwise_or(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.bitwise_or of each pair (torch.bitwise_or)."""
def bitwise_right_shift(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.right_shift of each pair (torch.bitwise_right_shift)."""
def bitwise_xor(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.bitwise_xor of each pair (torch.bitwise_xor)."""
def blackman_window(
    window_length: builtins.int,
    periodic: builtins.bool = True,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """0.42 - 0.5 * cos(2 pi t) + 0.08 * cos(4 pi t) (torch.blackman_window)."""
def block_diag(*tensors: Tensor, out: Tensor | None = None) -> Tensor:
    """A matrix with matrices on its diagonal, zeros elsewhere (torch.block_diag)."""
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of matrices, pair by pair of two batches (torch.bmm)."""
def broadcast_shapes(*shapes: Any) -> tuple[builtins.int, ...]:
    """The shape that shapes, or lengths, broadcast to (torch.broadcast_shapes)."""
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All in the shape that they broadcast to (torch.broadcast_tensors)."""
def broadcast_to(
    input: Tensor,
    *sizes: SupportsIndex | Sequence[builtins.int],
    size: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """Broadcast without a copy (torch.broadcast_to)."""
def bucketize(
    input: Any,
    boundaries: Tensor,
    *,
    out_int32: builtins.bool = False,
    right: builtins.bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Between which boundaries values lie (torch.bucketize)."""
def cartesian_prod(*tensors: Tensor, out: Tensor | None = None) -> Tensor:
    """All ways to take one element of each vector, as rows (torch.cartesian_prod)."""
def cat(
    tensors: Sequence[Tensor],
    dim: builtins.int = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Tensors joined along a dimension that they have (torch.cat)."""
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: builtins.float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Distances, by the p-norm, of all rows of x1 to all rows of x2 (torch.cdist)."""
def ceil(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The smallest integer not below. The gradient is 0 (torch.ceil)."""
def chain_matmul(*check_matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """The product of several matrices, in the order that costs least (torch.chain_matmul)."""
def cholesky(
    input: Tensor,
    upper: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The Cholesky factor (torch.cholesky)."""
def cholesky_inverse(
    L: Tensor,
    upper: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is L (torch.cholesky_inverse)."""
def cholesky_solve(
    B: Tensor,
    L: Tensor,
    upper: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """X with L @ L.mH @ X = B, or L.mH @ L @ X = B if `upper` (torch.cholesky_solve)."""
def chunk(input: Tensor, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
    """Split into at most `chunks` parts of equal size; the last may be shorter (torch.chunk)."""
def clamp(
    input: Tensor,
    min: Tensor | Number | None = None,
    max: Tensor | Number | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
def clamp_max(input: Tensor, max: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """input, at most `max` (torch.clamp_max)."""
def clamp_min(input: Tensor, min: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """input, at least `min` (torch.clamp_min)."""
def clip(
    input: Tensor,
    min: Tensor | Number | None = None,
    max: Tensor | Number | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
def clone(input: Tensor, *, memory_format: Any = None, out: Tensor | None = None) -> Tensor:
    """A copy of the tensor (torch.clone)."""
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined as columns (torch.column_stack)."""
def combinations(
    input: Tensor,
    r: builtins.int = 2,
    with_replacement: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """All ways to take r elements of a vector, as rows (torch.combinations)."""
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """real + i * imag, in the complex dtype with parts of their dtype (torch.complex)."""
def concat(
    tensors: Sequence[Tensor],
    dim: builtins.int = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Tensors joined along a dimension that they have (torch.cat)."""
def concatenate(
    tensors: Sequence[Tensor],
    dim: builtins.int = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Tensors joined along a dimension that they have (torch.cat)."""
def conj(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugates; a real tensor itself (torch.conj)."""
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugates; a real tensor itself (torch.conj)."""
def copysign(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The size of x with the sign of y; no gradient where x is 0, nor for y (torch.copysign)."""
def corrcoef(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The correlations of variables, the rows, over observations (torch.corrcoef)."""
def cos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The cosine of radians (torch.cos)."""
def cosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic cosine (torch.cosh)."""
def count_nonzero(
    input: Tensor,
    dim: Dims | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The number of elements that are not zero (torch.count_nonzero)."""
def cov(
    input: Tensor,
    *,
    correction: builtins.int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The covariances of variables, the rows, over observations, the columns (torch.cov)."""
def cross(
    input: Tensor,
    other: Tensor,
    dim: builtins.int | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Cross products along a dimension of size 3, the first there is if None (torch.cross)."""
def cummax(
    input: Tensor,
    dim: builtins.int,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> ValuesAndIndices:
    """The maximum up to each position along `dim`, and its index (torch.cummax)."""
def cummin(
    input: Tensor,
    dim: builtins.int,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> ValuesAndIndices:
    """The minimum up to each position along `dim`, and its index (torch.cummin)."""
def cumprod(
    input: Tensor,
    dim: builtins.int,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """Running products along `dim` (torch.cumprod)."""
def cumsum(
    input: Tensor,
    dim: builtins.int,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """Running sums along `dim` (torch.cumsum)."""
def cumulative_trapezoid(
    y: Tensor,
    x: Tensor | None = None,
    *,
    dx: builtins.float | None = None,
    dim: builtins.int = -1,
    out: Tensor | None = None,
) -> Tensor:
    """The running integral by the trapezoidal rule (torch.cumulative_trapezoid)."""
def deg2rad(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Degrees in radians (torch.deg2rad)."""
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant (torch.linalg.det)."""
def diag(input: Tensor, diagonal: builtins.int = 0, *, out: Tensor | None = None) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix, copied (torch.diag)."""
def diag_embed(
    input: Tensor,
    offset: builtins.int = 0,
    dim1: builtins.int = -2,
    dim2: builtins.int = -1,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Matrices with the rows of the input on a diagonal (torch.diag_embed)."""
def diagflat(
    input: Tensor,
    offset: builtins.int = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """A matrix with all elements on a diagonal (torch.diagflat)."""
def diagonal(
    input: Tensor,
    offset: builtins.int = 0,
    dim1: builtins.int = 0,
    dim2: builtins.int = 1,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The diagonals of the matrices in two dimensions, as a last one; a view (torch.diagonal)."""
def diagonal_scatter(
    input: Tensor,
    src: Tensor,
    offset: builtins.int = 0,
    dim1: builtins.int = 0,
    dim2: builtins.int = 1,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The input with `src` as its diagonals in two dimensions (torch.diagonal_scatter)."""
def diff(
    input: Tensor,
    n: builtins.int = 1,
    dim: builtins.int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The differences of neighbours along `dim`, n times over (torch.diff)."""
def digamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
def dist(
    input: Tensor,
    other: Tensor,
    p: builtins.float = 2,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The p-norm of the difference (torch.dist)."""
def div(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    rounding_mode: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div)."""
def divide(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    rounding_mode: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div)."""
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors (torch.dot)."""
def dsplit(
    input: Tensor,
    indices_or_sections: Any = None,
    *,
    indices: Any = None,
    sections: Any = None,
) -> tuple[Tensor, ...]:
    """Split dimension 2 into equal parts or at indices (torch.dsplit)."""
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined in depth, along dimension 2 (torch.dstack)."""
def einsum(equation: Any, *operands: Any, out: Tensor | None = None) -> Tensor:
    """A sum of products, such as "ij,jk->ik"; operands are taken from left to right (torch.einsum)."""
def empty(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Uninitialized memory (torch.empty)."""
def empty_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Uninitialized memory in the shape and dtype of another tensor (torch.empty_like)."""
def empty_permuted(
    size: Sequence[builtins.int],
    physical_layout: Sequence[builtins.int],
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Uninitialized memory, dense, with the dimensions in this order (torch.empty_permuted)."""
def empty_strided(
    size: Sequence[builtins.int],
    stride: Sequence[builtins.int],
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Uninitialized memory with these strides, in elements (torch.empty_strided)."""
def eq(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.equal of each pair (torch.eq)."""
def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether shapes and elements are the same, as a bool (torch.equal)."""
def erf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x (torch.erf)."""
def erfc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 - erf(x), exact where that is small (torch.erfc)."""
def erfinv(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of erf (torch.erfinv)."""
def exp(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """e ** x (torch.exp)."""
def exp2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """2 ** x (torch.exp2)."""
def expm1(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """e ** x - 1, exact near 0 (torch.expm1)."""
def eye(
    n: builtins.int,
    m: builtins.int | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere (torch.eye)."""
def fill(input: Tensor, value: Any, *, out: Tensor | None = None) -> Tensor:
    """A copy of the tensor with one value everywhere (torch.fill)."""
def fix(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The integer part, without the fraction. The gradient is 0 (torch.trunc)."""
def flatten(
    input: Tensor,
    start_dim: builtins.int = 0,
    end_dim: builtins.int = -1,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The dimensions from start_dim to end_dim made one (torch.flatten)."""
def flip(input: Tensor, *axes: Any, dims: Any = None, out: Tensor | None = None) -> Tensor:
    """A copy with the order reversed along `dims` (torch.flip)."""
def fliplr(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The order reversed along dimension 1 (torch.fliplr)."""
def flipud(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The order reversed along dimension 0 (torch.flipud)."""
def float_power(
    input: Tensor | Number,
    exponent: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input ** exponent in float64, of complex numbers in complex128 (torch.float_power)."""
def floor(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The largest integer not above. The gradient is 0 (torch.floor)."""
def floor_divide(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """floor(input / other) (torch.floor_divide)."""
def fmax(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The larger of each pair, of a NaN and a number the number; x where they are equal (torch.fmax)."""
def fmin(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The smaller of each pair, of a NaN and a number the number; x where they are equal (torch.fmin)."""
def fmod(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """What division towards zero leaves, of the sign of `input` (torch.fmod)."""
def frac(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input without its integer part (torch.frac)."""
def frexp(input: Tensor, *, out: tuple[Tensor, ...] | None = None) -> MantissaAndExponent:
    """input = mantissa * 2 ** exponent, with a mantissa of size 0.5 to 1 (torch.frexp)."""
def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's array (torch.from_dlpack)."""
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array (torch.from_numpy)."""
def frombuffer(
    buffer: Any,
    *,
    dtype: DTypeLike,
    count: builtins.int = -1,
    offset: builtins.int = 0,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """A vector that shares the memory of a buffer (torch.frombuffer)."""
def full(
    size: Sequence[builtins.int],
    fill_value: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """A tensor filled with one number (torch.full)."""
def full_like(
    input: Tensor,
    fill_value: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """One number in the shape and dtype of another tensor (torch.full_like)."""
def gather(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    *,
    sparse_grad: builtins.bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The elements at `index` along `dim` (torch.gather)."""
def gcd(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The greatest common divisor (torch.gcd)."""
def ge(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.greater_equal of each pair (torch.ge)."""
def ger(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors (torch.outer)."""
def gradient(
    input: Tensor,
    *,
    spacing: Any = 1,
    dim: Any = None,
    edge_order: builtins.int = 1,
) -> tuple[Tensor, ...]:
    """The slopes along each dimension, or each of `dim`, by central differences (torch.gradient)."""
def greater(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.greater of each pair (torch.gt)."""
def greater_equal(
    input: Tensor,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.greater_equal of each pair (torch.ge)."""
def gt(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.greater of each pair (torch.gt)."""
def hamming_window(
    window_length: builtins.int,
    periodic: builtins.bool = True,
    alpha: builtins.float = 0.54,
    beta: builtins.float = 0.46,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """alpha - beta * cos(2 pi t) (torch.hamming_window)."""
def hann_window(
    window_length: builtins.int,
    periodic: builtins.bool = True,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """A raised cosine (torch.hann_window)."""
def heaviside(input: Tensor, values: Tensor, *, out: Tensor | None = None) -> Tensor:
    """0 where input is negative, 1 where positive, `values` where 0 (torch.heaviside)."""
def histc(
    input: Tensor,
    bins: builtins.int = 100,
    min: builtins.float = 0,
    max: builtins.float = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The number of elements in each of `bins` equal intervals of [min, max] (torch.histc)."""
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: builtins.bool = False,
    out: tuple[Tensor, ...] | None = None,
) -> CountsAndEdges:
    """The number of elements in each bin, or their weight, and the edges (torch.histogram)."""
def hsplit(
    input: Tensor,
    indices_or_sections: Any = None,
    *,
    indices: Any = None,
    sections: Any = None,
) -> tuple[Tensor, ...]:
    """Split the columns, or a vector, into equal parts or at indices (torch.hsplit)."""
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined side by side: along dimension 1, vectors along 0 (torch.hstack)."""
def hypot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sqrt(x * x + y * y), without overflow (torch.hypot)."""
def i0(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The modified Bessel function of order 0 (torch.i0)."""
def imag(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The imaginary parts, a view (torch.imag)."""
def index_add(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    source: Tensor,
    *,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """The input with slices of `source` added at `index` along `dim` (torch.index_add)."""
def index_copy(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    source: Tensor,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The input with slices of `source` written at `index` along `dim` (torch.index_copy)."""
def index_fill(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    value: Any,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The input with one value at `index` along `dim` (torch.index_fill)."""
def index_put(
    input: Tensor,
    indices: Sequence[Any],
    values: Tensor,
    accumulate: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input[indices] = values, or += with accumulate, in a copy (torch.index_put)."""
def index_reduce(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: builtins.bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """Slices of `source` with the same index, reduced: "prod", "mean", "amax", "amin"."""
def index_select(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The slices at `index` along `dim` (torch.index_select)."""
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Inner products over the last dimensions (torch.inner)."""
def inverse(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse (torch.linalg.inv)."""
def is_complex(input: Tensor) -> builtins.bool:
    """Whether the dtype is complex64 or complex128 (torch.is_complex)."""
def is_conj(input: Tensor) -> builtins.bool:
    """False: conjugates are never lazy (torch.is_conj)."""
def is_floating_point(input: Tensor) -> builtins.bool:
    """Whether the dtype is a floating one (torch.is_floating_point)."""
def is_neg(input: Tensor) -> builtins.bool:
    """False: conjugates are never lazy (torch.is_conj)."""
def is_nonzero(input: Tensor) -> builtins.bool:
    """Whether the only element is not zero (torch.is_nonzero)."""
def is_same_size(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether the shapes are equal (torch.is_same_size)."""
def is_tensor(obj: Any) -> builtins.bool:
    """Whether it is a tensor (torch.is_tensor)."""
def isclose(
    input: Tensor,
    other: Tensor,
    rtol: builtins.float = 1e-05,
    atol: builtins.float = 1e-08,
    equal_nan: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other| (torch.isclose)."""
def isfinite(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is neither NaN nor infinite (torch.isfinite)."""
def isin(
    elements: Any,
    test_elements: Any,
    *,
    assume_unique: builtins.bool = False,
    invert: builtins.bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Whether each element is among the others (torch.isin)."""
def isinf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is infinite (torch.isinf)."""
def isnan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is NaN (torch.isnan)."""
def isneginf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is negative infinity (torch.isneginf)."""
def isposinf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is positive infinity (torch.isposinf)."""
def isreal(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each has no imaginary part (torch.isreal)."""
def istft(
    input: Tensor,
    n_fft: builtins.int,
    hop_length: builtins.int | None = None,
    win_length: builtins.int | None = None,
    window: Tensor | None = None,
    center: builtins.bool = True,
    normalized: builtins.bool = False,
    onesided: builtins.bool | None = None,
    length: builtins.int | None = None,
    return_complex: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The signal of the spectra that :func:`stft` gives (torch.istft)."""
def kaiser_window(
    window_length: builtins.int,
    periodic: builtins.bool = True,
    beta: builtins.float = 12.0,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """i0(beta * sqrt(1 - (2 t - 1) ** 2)) / i0(beta) (torch.kaiser_window)."""
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Kronecker product: blocks of `other`, one for each element of the input (torch.kron)."""
def kthvalue(
    input: Tensor,
    k: builtins.int,
    dim: builtins.int = -1,
    keepdim: builtins.bool = False,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> ValuesAndIndices:
    """The k-th smallest along `dim`, counted from 1, and where it is (torch.kthvalue)."""
def lcm(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The least common multiple (torch.lcm)."""
def ldexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * 2 ** other (torch.ldexp)."""
def le(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.less_equal of each pair (torch.le)."""
def lerp(
    input: Tensor,
    end: Tensor,
    weight: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input + weight * (end - input) (torch.lerp)."""
def less(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.less of each pair (torch.lt)."""
def less_equal(
    input: Tensor,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.less_equal of each pair (torch.le)."""
def lgamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log |gamma(x)| (torch.lgamma)."""
def linspace(
    start: builtins.float,
    end: builtins.float,
    steps: builtins.int,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included (torch.linspace)."""
def log(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The natural logarithm (torch.log)."""
def log10(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The logarithm to base 10 (torch.log10)."""
def log1p(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(1 + x), exact near 0 (torch.log1p)."""
def log2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The logarithm to base 2 (torch.log2)."""
def log_softmax(
    input: Tensor,
    dim: builtins.int,
    dtype: DTypeLike = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """log(softmax(x)) along `dim` (torch.log_softmax)."""
def logaddexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(exp(x) + exp(y)), without overflow (torch.logaddexp)."""
def logaddexp2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log2(2 ** x + 2 ** y), without overflow (torch.logaddexp2)."""
def logcumsumexp(input: Tensor, dim: builtins.int, *, out: Tensor | None = None) -> Tensor:
    """log(cumsum(exp(input))) along `dim`, without overflow (torch.logcumsumexp)."""
def logdet(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the determinant; NaN if that is real and negative (torch.logdet)."""
def logical_and(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """numpy.logical_and of each pair (torch.logical_and)."""
def logical_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is zero or False (torch.logical_not)."""
def logical_or(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """numpy.logical_or of each pair (torch.logical_or)."""
def logical_xor(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """numpy.logical_xor of each pair (torch.logical_xor)."""
def logit(
    input: Tensor,
    eps: builtins.float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
def logspace(
    start: builtins.float,
    end: builtins.float,
    steps: builtins.int,
    base: builtins.float = 10.0,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """base ** linspace(start, end, steps) (torch.logspace)."""
def logsumexp(
    input: Tensor,
    dim: Any,
    keepdim: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """log(sum(exp(input))) over `dim` (torch.logsumexp)."""
def lt(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.less of each pair (torch.lt)."""
def lu(
    A: Tensor,
    pivot: builtins.bool = True,
    get_infos: builtins.bool = False,
) -> tuple[Tensor, ...]:
    """L below U in one matrix, the exchanges, and info if wanted (torch.lu)."""
def lu_solve(
    b: Tensor,
    LU_data: Tensor,
    LU_pivots: Tensor,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`lu_solve` with its arguments in another order (torch.lu_solve)."""
def lu_unpack(
    LU_data: Tensor,
    LU_pivots: Tensor,
    unpack_data: builtins.bool = True,
    unpack_pivots: builtins.bool = True,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> PLU:
    """P, L and U of what `lu_factor` gives (torch.lu_unpack)."""
def masked_fill(
    input: Tensor,
    mask: Tensor,
    value: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`value` where the mask holds, else `input` (torch.masked_fill)."""
def masked_scatter(
    input: Tensor,
    mask: Tensor,
    source: Tensor,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The input with the first elements of `source` where the mask holds (torch.masked_scatter)."""
def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements where the mask holds, as a vector (torch.masked_select)."""
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Matrix product, with vectors and batches as in torch.matmul."""
def matrix_exp(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of A^k / k! (torch.linalg.matrix_exp), by scaling and squaring (Higham, 2005)."""
def matrix_power(A: Tensor, n: builtins.int, *, out: Tensor | None = None) -> Tensor:
    """A @ A @ ..., n times; of the inverse if n is negative (torch.linalg.matrix_power)."""
@overload
def max(input: Tensor) -> Tensor:
    """The maximum; with `dim` (values, indices); of two tensors `maximum` (torch.max)."""
@overload
def max(
    input: Tensor,
    dim: builtins.int,
    keepdim: builtins.bool = False,
) -> ValuesAndIndices: ...
@overload
def max(input: Tensor, other: Tensor) -> Tensor: ...
def maximum(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The larger of each pair; where they are equal each gets half of the gradient (torch.maximum)."""
def mean(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """The mean; NaN of nothing (torch.mean)."""
@overload
def median(input: Tensor) -> Tensor:
    """The lower median of all, or (values, indices) along `dim`; NaN if any is (torch.median)."""
@overload
def median(
    input: Tensor,
    dim: builtins.int,
    keepdim: builtins.bool = False,
) -> ValuesAndIndices: ...
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: "ij" as a matrix is read, "xy" as a plane (torch.meshgrid)."""
@overload
def min(input: Tensor) -> Tensor:
    """The minimum; with `dim` (values, indices); of two tensors `minimum` (torch.min)."""
@overload
def min(
    input: Tensor,
    dim: builtins.int,
    keepdim: builtins.bool = False,
) -> ValuesAndIndices: ...
@overload
def min(input: Tensor, other: Tensor) -> Tensor: ...
def minimum(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The smaller of each pair; where they are equal each gets half of the gradient (torch.minimum)."""
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices (torch.mm)."""
def mode(
    input: Tensor,
    dim: builtins.int = -1,
    keepdim: builtins.bool = False,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> ValuesAndIndices:
    """The most frequent value along `dim`, of several the smallest, and its index (torch.mode)."""
def moveaxis(
    input: Tensor,
    source: Any,
    destination: Any,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Dimensions moved to other positions, the others in their order (torch.movedim)."""
def movedim(
    input: Tensor,
    source: Any,
    destination: Any,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Dimensions moved to other positions, the others in their order (torch.movedim)."""
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sorted along the first dimension (torch.msort)."""
def mul(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """x * y (torch.mul)."""
def multinomial(
    input: Tensor,
    num_samples: builtins.int,
    replacement: builtins.bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Places drawn in proportion to the weights in a vector, or in each row (torch.multinomial)."""
def multiply(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """x * y (torch.mul)."""
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A matrix times a vector (torch.mv)."""
def mvlgamma(input: Tensor, p: builtins.int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
def nan_to_num(
    input: Tensor,
    nan: builtins.float | None = None,
    posinf: builtins.float | None = None,
    neginf: builtins.float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Numbers in place of NaN, 0, and the infinities, the dtype's limits (torch.nan_to_num)."""
def nanmean(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """The mean of the elements that are not NaN (torch.nanmean)."""
@overload
def nanmedian(input: Tensor) -> Tensor:
    """`median` of the elements that are not NaN (torch.nanmedian)."""
@overload
def nanmedian(
    input: Tensor,
    dim: builtins.int,
    keepdim: builtins.bool = False,
) -> ValuesAndIndices: ...
def nanquantile(
    input: Tensor,
    q: Any,
    dim: builtins.int | None = None,
    keepdim: builtins.bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """`quantile` of the elements that are not NaN (torch.nanquantile)."""
def nansum(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """The sum of the elements that are not NaN (torch.nansum)."""
def narrow(
    input: Tensor,
    dim: builtins.int,
    start: Any,
    length: builtins.int,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`length` elements from `start` along a dimension (torch.narrow)."""
def ne(input: Tensor, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """numpy.not_equal of each pair (torch.ne)."""
def neg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-input (torch.neg)."""
def negative(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-input (torch.neg)."""
newaxis: None = None
def nextafter(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The next number after `input` towards `other` (torch.nextafter)."""
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[False] = False) -> Tensor:
    """Indices of the nonzero elements: a row each, or a vector for each dim (torch.nonzero)."""
@overload
def nonzero(input: Tensor, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
def norm(
    input: Tensor,
    p: builtins.float | str | None = "fro",
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    dtype: DTypeLike = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The p-norm of all elements or over `dim`; "nuc" is that of matrices (torch.norm)."""
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Normal random numbers of means and deviations, tensors or numbers (torch.normal)."""
def not_equal(
    input: Tensor,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """numpy.not_equal of each pair (torch.ne)."""
def numel(input: Tensor) -> builtins.int:
    """The number of elements (torch.numel)."""
def ones(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Ones (torch.ones)."""
def ones_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Ones in the shape and dtype of another tensor (torch.ones_like)."""
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors (torch.outer)."""
def pdist(input: Tensor, p: builtins.float = 2.0, *, out: Tensor | None = None) -> Tensor:
    """Distances, by the p-norm, of each row to all rows after it (torch.pdist)."""
def permute(
    input: Tensor,
    *order: Any,
    dims: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The dimensions in another order (torch.permute)."""
def pinverse(
    input: Tensor,
    rcond: builtins.float = 1e-15,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The pseudoinverse (torch.pinverse)."""
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """abs * exp(i * angle) (torch.polar)."""
def polygamma(n: builtins.int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of order n of digamma (torch.polygamma)."""
def positive(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The tensor itself (torch.positive)."""
def pow(
    input: Tensor | Number,
    exponent: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input ** exponent (torch.pow)."""
def prod(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """The product; the gradient is right where elements are 0, too (torch.prod)."""
def put(
    input: Tensor,
    index: Tensor,
    source: Tensor,
    accumulate: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`source` written at, or added at, indices into the flattened input (torch.put)."""
def qr(
    input: Tensor,
    some: builtins.bool = True,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> QR:
    """The reduced, or the complete, QR factorization (torch.qr)."""
def quantile(
    input: Tensor,
    q: Any,
    dim: builtins.int | None = None,
    keepdim: builtins.bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """The quantiles q, a number, or a vector for a new first dimension (torch.quantile)."""
def rad2deg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Radians in degrees (torch.rad2deg)."""
def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1) (torch.rand), from Philox: other numbers than PyTorch's."""
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Uniform random numbers in the shape of another tensor (torch.rand_like)."""
def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Random integers in [low, high); `randint(high, size)` begins at 0 (torch.randint)."""
def randint_like(
    input: Tensor,
    low: Any = None,
    high: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Random integers in [low, high), or from 0, in another's shape (torch.randint_like)."""
def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Standard normal random numbers (torch.randn), from Philox: other numbers than PyTorch's."""
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Standard normal random numbers in the shape of another tensor (torch.randn_like)."""
def randperm(
    n: builtins.int,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """A random permutation of 0 ... n - 1 (torch.randperm)."""
def range(
    start: builtins.float,
    end: builtins.float | None = None,
    step: builtins.float = 1,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Numbers from `start` up to, and including, `end` (torch.range, the older `arange`)."""
def ravel(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """All elements in one dimension (torch.ravel)."""
def real(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The real parts, a view; a real tensor itself (torch.real)."""
def reciprocal(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / x (torch.reciprocal)."""
def relu(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """max(x, 0); the gradient at 0 is 0 (torch.relu)."""
def remainder(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """What floor division leaves, of the sign of `other` (torch.remainder)."""
def renorm(
    input: Tensor,
    p: builtins.float,
    dim: builtins.int,
    maxnorm: builtins.float,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Scale slices along `dim` down to a p-norm of at most `maxnorm` (torch.renorm)."""
def repeat_interleave(
    input: Any = None,
    repeats: Any = None,
    dim: builtins.int | None = None,
    *,
    output_size: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """Each element `repeats` times, along `dim` or of all as one row (torch.repeat_interleave)."""
def reshape(
    input: Tensor,
    *sizes: SupportsIndex | Sequence[builtins.int],
    shape: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The same elements in another shape, shared if that can be (torch.reshape)."""
def resolve_conj(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The tensor itself: conjugates are never lazy (torch.resolve_conj)."""
def resolve_neg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The tensor itself: conjugates are never lazy (torch.resolve_conj)."""
def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype of an operation between two tensors or numbers (torch.result_type)."""
def roll(
    input: Tensor,
    shifts: Any,
    dims: Any = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Elements shifted along `dims`, around the end (torch.roll)."""
def rot90(
    input: Tensor,
    k: builtins.int = 1,
    dims: Sequence[builtins.int] = ...,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Turned k times by a right angle, from the first of two dimensions on (torch.rot90)."""
def round(
    input: Tensor,
    *,
    decimals: builtins.int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
def row_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined as rows, along dimension 0 (torch.vstack)."""
def rsqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / sqrt(x) (torch.rsqrt)."""
def rsub(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """other - alpha * input (torch.rsub)."""
def scalar_tensor(
    s: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """A 0-d tensor, of the default dtype unless another is given (torch.scalar_tensor)."""
def scatter(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    src: Any = None,
    *,
    out: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """`src`, a tensor or a number (`value`), written at `index` along `dim` (torch.scatter)."""
def scatter_add(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    src: Tensor,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`src` added at `index` along `dim` (torch.scatter_add)."""
def scatter_reduce(
    input: Tensor,
    dim: builtins.int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: builtins.bool = True,
    out: Tensor | None = None,
) -> Tensor:
    """Values with the same index, reduced: sum, prod, mean, amax or amin (torch.scatter_reduce)."""
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: builtins.bool = False,
    right: builtins.bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where to insert values into sorted rows, before equal ones (torch.searchsorted)."""
def select(
    input: Tensor,
    dim: builtins.int,
    index: builtins.int,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The slice at one index along `dim`, a view (torch.select)."""
def select_scatter(
    input: Tensor,
    src: Tensor,
    dim: builtins.int,
    index: builtins.int,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The input with `src` as its slice at `index` along `dim` (torch.select_scatter)."""
def sgn(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input / |input|, 0 at 0; of real numbers the sign (torch.sgn)."""
def sigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / (1 + exp(-x)) (torch.sigmoid)."""
def sign(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-1, 0 or 1; 0 for NaN. The gradient is 0 (torch.sign)."""
def signbit(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each is negative; of floats whether the bit of the sign is set, as in -0.0 (torch.signbit)."""
def sin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sine of radians (torch.sin)."""
def sinc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0 (torch.sinc)."""
def sinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic sine (torch.sinh)."""
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: builtins.int = 0,
    start: builtins.int | None = None,
    end: builtins.int | None = None,
    step: builtins.int = 1,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The input with `src` as its slice start:end:step along `dim` (torch.slice_scatter)."""
def slogdet(A: Tensor, *, out: tuple[Tensor, ...] | None = None) -> Slogdet:
    """The sign of the determinant and the logarithm of its absolute value (linalg.slogdet)."""
def softmax(
    input: Tensor,
    dim: builtins.int,
    dtype: DTypeLike = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.softmax)."""
def sort(
    input: Tensor,
    dim: builtins.int = -1,
    descending: builtins.bool = False,
    stable: builtins.bool = False,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> ValuesAndIndices:
    """(sorted values, where they were) along `dim`; equal ones keep their order (torch.sort)."""
def split(
    tensor: Tensor,
    split_size_or_sections: Any,
    dim: builtins.int = 0,
) -> tuple[Tensor, ...]:
    """Split along a dimension into parts of one size, or of the sizes of a list (torch.split)."""
def split_with_sizes(
    input: Tensor,
    split_sizes: Sequence[builtins.int],
    dim: builtins.int = 0,
) -> tuple[Tensor, ...]:
    """Split along a dimension into parts of the given sizes (torch.split_with_sizes)."""
def sqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The square root (torch.sqrt)."""
def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """input * input (torch.square)."""
def squeeze(input: Tensor, dim: Any = None, *, out: Tensor | None = None) -> Tensor:
    """Without the dimensions of length 1, or those of them in `dim` (torch.squeeze)."""
def stack(
    tensors: Sequence[Tensor],
    dim: builtins.int = 0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Tensors of one shape joined along a new dimension (torch.stack)."""
def std(
    input: Tensor,
    dim: Dims | None = None,
    correction: builtins.float | None = None,
    keepdim: builtins.bool = False,
    *,
    unbiased: builtins.bool | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The standard deviation, the root of `var` (torch.std)."""
def std_mean(
    input: Tensor,
    dim: Dims | None = None,
    correction: builtins.float | None = None,
    keepdim: builtins.bool = False,
    *,
    unbiased: builtins.bool | None = None,
) -> tuple[Tensor, Tensor]:
    """(standard deviation, mean) (torch.std_mean)."""
def stft(
    input: Tensor,
    n_fft: builtins.int,
    hop_length: builtins.int | None = None,
    win_length: builtins.int | None = None,
    window: Tensor | None = None,
    center: builtins.bool = True,
    pad_mode: str = "reflect",
    normalized: builtins.bool = False,
    onesided: builtins.bool | None = None,
    return_complex: builtins.bool | None = None,
    align_to_window: builtins.bool | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The spectra, (..., frequencies, frames), of windows every `hop_length` (torch.stft)."""
def sub(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input - alpha * other (torch.sub)."""
def subtract(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """input - alpha * other (torch.sub)."""
def sum(
    input: Tensor,
    dim: Dims | None = None,
    keepdim: builtins.bool = False,
    *,
    dtype: DTypeLike = None,
    out: Tensor | None = None,
) -> Tensor:
    """The sum; of integers and bools as int64 (torch.sum)."""
def svd(
    input: Tensor,
    some: builtins.bool = True,
    compute_uv: builtins.bool = True,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> TorchSVD:
    """U, S, V with U @ diag(S) @ V.mH = input (torch.svd)."""
def swapaxes(
    input: Tensor,
    axis0: builtins.int,
    axis1: builtins.int,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Two dimensions exchanged (torch.swapaxes)."""
def swapdims(
    input: Tensor,
    dim0: builtins.int,
    dim1: builtins.int,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Two dimensions exchanged (torch.transpose)."""
def t(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The transpose of a matrix; a vector as it is (torch.t)."""
def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements at indices into the flattened input (torch.take)."""
def take_along_dim(
    input: Tensor,
    indices: Tensor,
    dim: builtins.int | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Like `gather`, with the other dimensions broadcast (torch.take_along_dim)."""
def tan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The tangent of radians (torch.tan)."""
def tanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic tangent (torch.tanh)."""
def tensor(
    data: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested lists, an array or a tensor."""
def tensor_split(
    input: Tensor,
    indices_or_sections: Any = None,
    dim: builtins.int = 0,
    *,
    indices: Any = None,
    sections: Any = None,
    tensor_indices_or_sections: Any = None,
) -> tuple[Tensor, ...]:
    """Split into n parts, of which the first may be longer, or at indices (torch.tensor_split)."""
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, *, out: Tensor | None = None) -> Tensor:
    """Products summed over the last dims of a and the first of b, or lists (torch.tensordot)."""
def tile(
    input: Tensor,
    *counts: Any,
    dims: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """Like `repeat`, with 1 for dimensions in front that are not given (torch.tile)."""
def topk(
    input: Tensor,
    k: builtins.int,
    dim: builtins.int = -1,
    largest: builtins.bool = True,
    sorted: builtins.bool = True,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> ValuesAndIndices:
    """The k largest (or smallest) along `dim` in order, and where they were (torch.topk)."""
def trace(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of the diagonal of a matrix (torch.trace)."""
def transpose(
    input: Tensor,
    dim0: builtins.int,
    dim1: builtins.int,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Two dimensions exchanged (torch.transpose)."""
def trapezoid(
    y: Tensor,
    x: Tensor | None = None,
    *,
    dx: builtins.float | None = None,
    dim: builtins.int = -1,
    out: Tensor | None = None,
) -> Tensor:
    """The integral along `dim` by the trapezoidal rule (torch.trapezoid)."""
def trapz(
    y: Tensor,
    x: Tensor | None = None,
    *,
    dx: builtins.float | None = None,
    dim: builtins.int = -1,
    out: Tensor | None = None,
) -> Tensor:
    """The integral along `dim` by the trapezoidal rule (torch.trapezoid)."""
def triangular_solve(
    b: Tensor,
    A: Tensor,
    upper: builtins.bool = True,
    transpose: builtins.bool = False,
    unitriangular: builtins.bool = False,
    *,
    out: tuple[Tensor, ...] | None = None,
) -> TriangularSolve:
    """`solve_triangular`, and a copy of A (torch.triangular_solve)."""
def tril(input: Tensor, diagonal: builtins.int = 0, *, out: Tensor | None = None) -> Tensor:
    """The lower triangle, zeros elsewhere (torch.tril)."""
def tril_indices(
    row: builtins.int,
    col: builtins.int,
    offset: builtins.int = 0,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
) -> Tensor:
    """Row and column indices of the lower triangle, (2, elements) (torch.tril_indices)."""
def triu(input: Tensor, diagonal: builtins.int = 0, *, out: Tensor | None = None) -> Tensor:
    """The upper triangle, zeros elsewhere (torch.triu)."""
def triu_indices(
    row: builtins.int,
    col: builtins.int,
    offset: builtins.int = 0,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
) -> Tensor:
    """Row and column indices of the upper triangle, (2, elements) (torch.triu_indices)."""
def true_divide(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """input / other (torch.true_divide)."""
def trunc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The integer part, without the fraction. The gradient is 0 (torch.trunc)."""
def unbind(input: Tensor, dim: builtins.int = 0) -> tuple[Tensor, ...]:
    """Remove a dimension: the tuple of its slices (torch.unbind)."""
def unflatten(
    input: Tensor,
    dim: builtins.int,
    sizes: Sequence[builtins.int],
    *,
    out: Tensor | None = None,
) -> Tensor:
    """One dimension made several; one of `sizes` may be -1 (torch.unflatten)."""
@overload
def unique(
    input: Tensor,
    sorted: builtins.bool = True,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: builtins.int | None = None,
) -> Tensor:
    """The different elements, or slices along `dim`, in ascending order (torch.unique)."""
@overload
def unique(
    input: Tensor,
    sorted: builtins.bool = True,
    return_inverse: builtins.bool = False,
    return_counts: builtins.bool = False,
    dim: builtins.int | None = None,
) -> tuple[Tensor, ...]: ...
@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: builtins.int | None = None,
) -> Tensor:
    """Each run of equal elements, or slices along `dim`, as one (torch.unique_consecutive)."""
@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: builtins.bool = False,
    return_counts: builtins.bool = False,
    dim: builtins.int | None = None,
) -> tuple[Tensor, ...]: ...
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Indices into a flattened array as coordinates in its shape (torch.unravel_index)."""
def unsqueeze(input: Tensor, dim: builtins.int, *, out: Tensor | None = None) -> Tensor:
    """With a dimension of length 1 at `dim` (torch.unsqueeze)."""
def vander(
    x: Tensor,
    N: builtins.int | None = None,
    increasing: builtins.bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Powers of the elements of a vector, as rows, the highest first (torch.vander)."""
def var(
    input: Tensor,
    dim: Dims | None = None,
    correction: builtins.float | None = None,
    keepdim: builtins.bool = False,
    *,
    unbiased: builtins.bool | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The variance, over count - correction (torch.var)."""
def var_mean(
    input: Tensor,
    dim: Dims | None = None,
    correction: builtins.float | None = None,
    keepdim: builtins.bool = False,
    *,
    unbiased: builtins.bool | None = None,
) -> tuple[Tensor, Tensor]:
    """(variance, mean) (torch.var_mean)."""
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors, the first conjugated (torch.vdot)."""
def view_as_complex(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A complex view of a tensor whose last dimension has both parts (torch.view_as_complex)."""
def view_as_real(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A view with real and imaginary parts in a new last dimension of 2 (torch.view_as_real)."""
def vsplit(
    input: Tensor,
    indices_or_sections: Any = None,
    *,
    indices: Any = None,
    sections: Any = None,
) -> tuple[Tensor, ...]:
    """Split the rows into equal parts or at indices (torch.vsplit)."""
def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Joined as rows, along dimension 0 (torch.vstack)."""
@overload
def where(condition: Tensor) -> tuple[Tensor, ...]:
    """`input` where the condition holds, else `other`; condition alone: `nonzero` (torch.where)."""
@overload
def where(condition: Tensor, input: Tensor | Number, other: Tensor | Number) -> Tensor: ...
def xlogy(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """x * log(y); 0 where x is 0, unless y is NaN (torch.xlogy)."""
def zero_(self: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Set all elements to 0 (torch.Tensor.zero_)."""
def zeros(
    *size: Any,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Zeros (torch.zeros)."""
def zeros_like(
    input: Tensor,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: builtins.bool = False,
    *,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: builtins.bool = False,
) -> Tensor:
    """Zeros in the shape and dtype of another tensor (torch.zeros_like)."""
