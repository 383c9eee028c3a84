"""Fused kernels: one name, three bodies with one contract.

`reference` is array code for any array module, and the specification; `cpu` is compiled by Numba
for NumPy's float32 and float64; `cuda` is CUDA C++ for CuPy, for halves, too. The module,
dtypes and sizes of the arguments choose the body, never the rank, so that all ranks take the same
one. The reference computes what a compiled body does not support or has no kernel for, and
everything if DTRAIN_KERNELS=reference.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from dtrain import env
from dtrain.backend import collector
from dtrain.backend.array_module import Array, is_cupy
from dtrain.backend.capture import captures, current_capture, refuse_capture
from dtrain.backend.dtypes import float32, is_half
from dtrain.backend.tracing import current_tracer, tracers

#: Family -> the reference computes with host arrays of fewer elements: it is as fast for them, and
#: nothing is compiled for small models. Optimizers have the same bits by either body.
SMALL: dict[str, int] = {"casts": 1 << 14, "conv": 1 << 11, "optimizer": 1 << 14}

#: Families whose kernels for CuPy take every dtype: CuPy's own add in any order.
_EVERY_DTYPE = frozenset(("indexing", "embedding"))

_NO_ARRAYS = frozenset((int, float, bool, tuple, str, type(None)))

#: Takes arrays and returns arrays, as the reference of the same name specifies.
Kernel: TypeAlias = Callable[..., Any]


def _kernel(family: str, name: str) -> Kernel:
    """The kernel `name` of the files `<body>/<family>.py`; its arguments decide the body, which
    `kernel.choose_body(*args)` returns."""
    reference = getattr(importlib.import_module(f"{__name__}.reference.{family}"), name)

    def choose(*args: Any) -> Kernel:
        body = _choose_body(family, args)
        return reference if body is None else getattr(body, name, reference)

    @functools.wraps(reference)
    def kernel(*args: Any) -> Any:
        if tracers and type(args[0]) is not np.ndarray:
            tracer = current_tracer()
            if tracer is not None and tracer.traces_rules:
                return tracer.call(kernel, args, {})
        body = _choose_body(family, args)
        if body is None and captures:
            _require_kernel(name)
        return (reference if body is None else getattr(body, name, reference))(*args)

    chosen: Any = kernel
    chosen.choose_body = choose
    return kernel


def _require_kernel(name: str) -> None:
    """Refuse array code whose numbers a CUDA graph would keep, while they change."""
    capture = current_capture()
    if capture is not None and capture.in_part:
        refuse_capture(f"{name} has no kernel for these arrays, whose numbers change in each step")


def _choose_body(family: str, args: tuple) -> ModuleType | None:
    """The module of compiled kernels, `cpu/<family>.py` or `cuda/<family>.py`, that computes with
    these arguments; None if the reference does."""
    if family in _EVERY_DTYPE and (is_cupy(args[0]) or is_cupy(args[-1])):
        return _import_body("cuda", family)
    kind, dtype = type(args[0]), args[0].dtype
    if dtype.char not in "fd" and (dtype.char not in "eE" or not is_cupy(args[0])):
        return None
    for value in args[1:]:
        other = type(value)
        if other is kind:
            if value.dtype is not dtype and _is_other_float(value.dtype, dtype):
                return None
        elif other not in _NO_ARRAYS and _is_array(value) and not _is_random_key(value):
            return None
    if kind is np.ndarray:
        if family in SMALL and max(a.size for a in args if type(a) is kind) < SMALL[family]:
            return None
        return _import_body("cpu", family)
    return _import_body("cuda", family) if kind.__module__.startswith("cupy") else None


def _is_random_key(value: Any) -> bool:
    """Whether this is what `Generator.draw_key` gave: host memory beside any arrays."""
    return type(value) is np.ndarray and value.dtype == np.uint64


def _is_array(value: Any) -> bool:
    """Whether this is an array, of any module."""
    return hasattr(value, "dtype") and not isinstance(value, np.generic)


def _is_other_float(dtype: np.dtype, expected: np.dtype) -> bool:
    """Whether a kernel for arrays of the `expected` dtype does not take those of `dtype`.

    Kernels for halves compute in float32, and take statistics and weights of that dtype, too.
    """
    if dtype.kind not in "fV" or dtype == expected:  # V: bfloat16
        return False
    return not (is_half(expected) and dtype == float32)


@functools.cache
def _import_body(where: str, family: str) -> ModuleType | None:
    """The compiled kernels of a family; None if they are turned off or Numba is missing."""
    if env.KERNELS.read() == "reference":
        return None
    if where == "cpu" and importlib.util.find_spec("numba") is None:
        return None
    if importlib.util.find_spec(f"{__name__}.{where}.{family}") is None:
        return None
    with collector.collector_off():
        return importlib.import_module(f"{__name__}.{where}.{family}")


#: A product on a CPU of fewer multiplications is the BLAS's.
_SMALL_PRODUCT = 1 << 20


def matmul(x: Array, y: Array, out: np.ndarray | None = None) -> Array:
    """x @ y, in the host memory `out` if it is given.

    A CPU with AMX multiplies large float32 matrices by cpu/product.py. CuPy copies transposed
    operands and has no batches of bfloat16: cuda/product.py.
    """
    if type(x) is np.ndarray:
        if x.size * y.shape[-1] >= _SMALL_PRODUCT and (body := _import_body("cpu", "product")):
            return body.matmul(x, y, out)
        return x @ y if out is None else np.matmul(x, y, out)
    if is_cupy(x) and is_cupy(y) and (body := _import_body("cuda", "product")) is not None:
        return body.matmul(x, y)
    if tracers and x.__class__ is y.__class__ is np.ndarray:  # what a graph's recording stands for
        tracer, body = current_tracer(), _import_body("cpu", "product")
        if tracer is not None and tracer.traces_rules and body and body.is_worthwhile(x, y):
            return tracer.call(body.matmul, (x, y), {})
    return x @ y


def multiplies_on_amx() -> bool:
    """Whether `matmul` multiplies large float32 matrices of a CPU on AMX."""
    body = _import_body("cpu", "amx")
    return body is not None and body.is_available()


def sum_leading(x: Array, count: int) -> Array:
    """The sum over the first `count` axes, with the bits of `x.sum`."""
    if type(x) is np.ndarray and x.flags.c_contiguous and x.size and count < x.ndim:
        lead, shape = math.prod(x.shape[:count]), x.shape[count:]
        return column_sums(x.reshape(lead, math.prod(shape))).reshape(shape)
    return x.sum(0 if count == 1 else tuple(range(count)))


def computes_attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, grouped: bool = False
) -> bool:
    """Whether `attention` has a kernel for these arrays that keeps no score in memory.

    grouped : a head of k and v may serve several of q
    """
    # the class of an array that a graph's recording stands for, too
    kind = q.__class__
    if not kind.__module__.startswith("cupy") or q.dtype.char not in "fdeE":
        return False
    if not (q.ndim == k.ndim == v.ndim == 4 and q.shape[0] == k.shape[0]):
        return False
    if k.shape[:3] != v.shape[:3] or q.shape[3] != k.shape[3] or not (q.size and v.size):
        return False
    if q.shape[1] % k.shape[1] if grouped else q.shape[1] != k.shape[1]:
        return False
    if mask is not None and (mask.__class__ is not kind or mask.ndim > 4):
        return False
    body = _import_body("cuda", "attention")
    return body is not None and body.takes(q, k, v)


def computes_dropout(x: Array) -> bool:
    """Whether `keyed_dropout` has a kernel for this array: on a GPU, where it keeps no mask."""
    is_device = x.__class__.__module__.startswith("cupy") and x.dtype.char in "fdeE"
    return is_device and _import_body("cuda", "dropout") is not None


def computes_bias_activation(x: Array, bias: Array) -> bool:
    """Whether `bias_activation` has a kernel for arrays like these: on a GPU."""
    return is_cupy(x) and x.dtype == bias.dtype and _choose_body("activation", (x,)) is not None


def computes_batch_norm(x: Array, *others: Array | None) -> bool:
    """Whether `batch_norm` has a kernel for x, the weights and the running statistics: on a GPU."""
    return is_cupy(x) and _choose_body("norm", (x, *others)) is not None


attention: Kernel = _kernel("attention", "attention")
attention_backward: Kernel = _kernel("attention", "attention_backward")

causal_softmax: Kernel = _kernel("attention", "causal_softmax")

softmax: Kernel = _kernel("softmax", "softmax")
softmax_backward: Kernel = _kernel("softmax", "softmax_backward")
log_softmax: Kernel = _kernel("softmax", "log_softmax")
log_softmax_backward: Kernel = _kernel("softmax", "log_softmax_backward")
cross_entropy: Kernel = _kernel("softmax", "cross_entropy")
cross_entropy_backward: Kernel = _kernel("softmax", "cross_entropy_backward")

mean_cross_entropy: Kernel = _kernel("softmax", "mean_cross_entropy")
mean_cross_entropy_backward: Kernel = _kernel("softmax", "mean_cross_entropy_backward")

layer_norm: Kernel = _kernel("norm", "layer_norm")
layer_norm_backward: Kernel = _kernel("norm", "layer_norm_backward")
add_layer_norm_backward: Kernel = _kernel("norm", "add_layer_norm_backward")
rms_norm: Kernel = _kernel("norm", "rms_norm")
rms_norm_backward: Kernel = _kernel("norm", "rms_norm_backward")
add_rms_norm_backward: Kernel = _kernel("norm", "add_rms_norm_backward")
group_norm: Kernel = _kernel("norm", "group_norm")
group_norm_backward: Kernel = _kernel("norm", "group_norm_backward")
batch_norm: Kernel = _kernel("norm", "batch_norm")
batch_norm_relu_backward: Kernel = _kernel("norm", "batch_norm_relu_backward")
channel_statistics: Kernel = _kernel("norm", "channel_statistics")
update_running: Kernel = _kernel("norm", "update_running")
channel_norm: Kernel = _kernel("norm", "channel_norm")
channel_norm_backward: Kernel = _kernel("norm", "channel_norm_backward")

bias_activation: Kernel = _kernel("activation", "bias_activation")
bias_activation_backward: Kernel = _kernel("activation", "bias_activation_backward")
relu: Kernel = _kernel("activation", "relu")
relu_backward: Kernel = _kernel("activation", "relu_backward")
silu: Kernel = _kernel("activation", "silu")
silu_backward: Kernel = _kernel("activation", "silu_backward")
gelu: Kernel = _kernel("activation", "gelu")
gelu_backward: Kernel = _kernel("activation", "gelu_backward")
gelu_tanh: Kernel = _kernel("activation", "gelu_tanh")
gelu_tanh_backward: Kernel = _kernel("activation", "gelu_tanh_backward")
leaky_relu: Kernel = _kernel("activation", "leaky_relu")
leaky_relu_backward: Kernel = _kernel("activation", "leaky_relu_backward")
sigmoid: Kernel = _kernel("activation", "sigmoid")
sigmoid_backward: Kernel = _kernel("activation", "sigmoid_backward")
tanh_backward: Kernel = _kernel("activation", "tanh_backward")
hardtanh_backward: Kernel = _kernel("activation", "hardtanh_backward")
softplus: Kernel = _kernel("activation", "softplus")
softplus_backward: Kernel = _kernel("activation", "softplus_backward")
glu: Kernel = _kernel("activation", "glu")
glu_backward: Kernel = _kernel("activation", "glu_backward")
elu: Kernel = _kernel("activation", "elu")
elu_backward: Kernel = _kernel("activation", "elu_backward")
hardswish: Kernel = _kernel("activation", "hardswish")
hardswish_backward: Kernel = _kernel("activation", "hardswish_backward")
huber: Kernel = _kernel("activation", "huber")
huber_backward: Kernel = _kernel("activation", "huber_backward")
bce_with_logits: Kernel = _kernel("activation", "bce_with_logits")
bce_with_logits_backward: Kernel = _kernel("activation", "bce_with_logits_backward")

resample: Kernel = _kernel("resampling", "resample")

max_pool: Kernel = _kernel("window", "max_pool")
max_pool_backward: Kernel = _kernel("window", "max_pool_backward")
avg_pool: Kernel = _kernel("window", "avg_pool")
avg_pool_backward: Kernel = _kernel("window", "avg_pool_backward")

conv: Kernel = _kernel("conv", "conv")
conv_grad_x: Kernel = _kernel("conv", "conv_grad_x")
add_conv_grad_x: Kernel = _kernel("conv", "add_conv_grad_x")
conv_grad_weight: Kernel = _kernel("conv", "conv_grad_weight")

embedding_backward: Kernel = _kernel("embedding", "embedding_backward")

take: Kernel = _kernel("indexing", "take")
gather: Kernel = _kernel("indexing", "gather")
add_along_axis: Kernel = _kernel("indexing", "add_along_axis")
add_slices: Kernel = _kernel("indexing", "add_slices")
add_at: Kernel = _kernel("indexing", "add_at")

cumsum: Kernel = _kernel("scan", "cumsum")

topk_indices: Kernel = _kernel("sorting", "topk_indices")

write_parts: Kernel = _kernel("joining", "write_parts")
sums_of_squares: Kernel = _kernel("joining", "sums_of_squares")
root_of_sum: Kernel = _kernel("joining", "root_of_sum")
clip_all: Kernel = _kernel("joining", "clip_all")

to_bfloat16: Kernel = _kernel("casts", "to_bfloat16")

contiguous: Kernel = _kernel("layout", "contiguous")

lstm: Kernel = _kernel("lstm", "lstm")
lstm_backward: Kernel = _kernel("lstm", "lstm_backward")
gru: Kernel = _kernel("gru", "gru")
gru_backward: Kernel = _kernel("gru", "gru_backward")

regression_loss: Kernel = _kernel("losses", "regression_loss")
regression_loss_backward: Kernel = _kernel("losses", "regression_loss_backward")

sum_rows: Kernel = _kernel("sums", "sum_rows")
column_sums: Kernel = _kernel("sums", "column_sums")

row_means: Kernel = _kernel("reduction", "row_means")
mean_of_both: Kernel = _kernel("reduction", "mean_of_both")

keyed_dropout: Kernel = _kernel("dropout", "keyed_dropout")

follow_param: Kernel = _kernel("optimizer", "follow_param")
sgd: Kernel = _kernel("optimizer", "sgd")
adam: Kernel = _kernel("optimizer", "adam")
adamax: Kernel = _kernel("optimizer", "adamax")
nadam: Kernel = _kernel("optimizer", "nadam")
radam: Kernel = _kernel("optimizer", "radam")
rmsprop: Kernel = _kernel("optimizer", "rmsprop")
adagrad: Kernel = _kernel("optimizer", "adagrad")
adadelta: Kernel = _kernel("optimizer", "adadelta")
rprop: Kernel = _kernel("optimizer", "rprop")
asgd: Kernel = _kernel("optimizer", "asgd")
