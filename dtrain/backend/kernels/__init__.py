"""Fused kernels: one name, three bodies with one contract.

`reference` is array code for any array module, and the specification; `cpu` is compiled by Numba
for NumPy's float32 and float64; `cuda` is CUDA C++ for CuPy. The module, dtypes and sizes of the
arguments choose the body, never the rank, so that all ranks take the same one. The reference
computes what a compiled body does not support, and everything if DTRAIN_KERNELS=reference.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from dtrain import env

#: Host arrays of fewer elements are computed by the reference: nothing is compiled for them, and
#: small models start at once. Optimizers compile from fewer elements on: their bits are equal.
SMALL, SMALL_STEP = 1 << 16, 1 << 14

#: Takes arrays and returns arrays, as the reference of the same name specifies.
Kernel: TypeAlias = Callable[..., Any]


def _kernel(family: str, name: str) -> Kernel:
    """The kernel `name` of the files `<body>/<family>.py`; its arguments decide the body."""
    reference = getattr(importlib.import_module(f"{__name__}.reference.{family}"), name)

    @functools.wraps(reference)
    def kernel(*args: Any) -> Any:
        body = _choose_body(family, args)
        return (reference if body is None else getattr(body, name))(*args)

    return kernel


def _choose_body(family: str, args: tuple) -> ModuleType | None:
    """The module of compiled kernels, `cpu/<family>.py` or `cuda/<family>.py`, that computes with
    these arguments; None if the reference does."""
    kind, dtype, size = type(args[0]), args[0].dtype, args[0].size
    if dtype.char not in "fd":
        return None
    for value in args[1:]:
        if not hasattr(value, "dtype") or isinstance(value, np.generic):
            continue
        if type(value) is not kind or (value.dtype.kind == "f" and value.dtype != dtype):
            return None
        size = max(size, value.size)
    if kind is np.ndarray:
        small = SMALL_STEP if family == "optimizer" else SMALL
        return _import_body("cpu", family) if size >= small else None
    return _import_body("cuda", family) if kind.__module__.startswith("cupy") else None


@functools.cache
def _import_body(where: str, family: str) -> ModuleType | None:
    """The compiled kernels of a family; None if they are turned off or Numba is missing."""
    if env.KERNELS.read() == "reference":
        return None
    if where == "cpu" and importlib.util.find_spec("numba") is None:
        return None
    return importlib.import_module(f"{__name__}.{where}.{family}")


softmax: Kernel = _kernel("softmax", "softmax")
softmax_backward: Kernel = _kernel("softmax", "softmax_backward")
log_softmax: Kernel = _kernel("softmax", "log_softmax")
log_softmax_backward: Kernel = _kernel("softmax", "log_softmax_backward")
cross_entropy: Kernel = _kernel("softmax", "cross_entropy")
cross_entropy_backward: Kernel = _kernel("softmax", "cross_entropy_backward")

layer_norm: Kernel = _kernel("norm", "layer_norm")
layer_norm_backward: Kernel = _kernel("norm", "layer_norm_backward")
channel_statistics: Kernel = _kernel("norm", "channel_statistics")
channel_norm: Kernel = _kernel("norm", "channel_norm")
channel_norm_backward: Kernel = _kernel("norm", "channel_norm_backward")

relu_backward: Kernel = _kernel("activation", "relu_backward")
silu: Kernel = _kernel("activation", "silu")
silu_backward: Kernel = _kernel("activation", "silu_backward")
gelu: Kernel = _kernel("activation", "gelu")
gelu_backward: Kernel = _kernel("activation", "gelu_backward")
gelu_tanh: Kernel = _kernel("activation", "gelu_tanh")
gelu_tanh_backward: Kernel = _kernel("activation", "gelu_tanh_backward")

max_pool: Kernel = _kernel("window", "max_pool")
max_pool_backward: Kernel = _kernel("window", "max_pool_backward")
avg_pool: Kernel = _kernel("window", "avg_pool")
avg_pool_backward: Kernel = _kernel("window", "avg_pool_backward")

conv: Kernel = _kernel("conv", "conv")
conv_grad_x: Kernel = _kernel("conv", "conv_grad_x")
conv_grad_weight: Kernel = _kernel("conv", "conv_grad_weight")

embedding_backward: Kernel = _kernel("embedding", "embedding_backward")

mean_of_both: Kernel = _kernel("reduction", "mean_of_both")

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
