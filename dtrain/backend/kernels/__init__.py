"""Fused kernels: one name, three bodies with one contract.

`reference` is array code for any array module, and the specification; `cpu` is compiled by Numba
for NumPy's float32 and float64; `cuda` is CUDA C++ for CuPy. An array decides by its module,
dtype and size, never by the rank, so that all ranks take the same body. What a body cannot do
it leaves to the reference; DTRAIN_KERNELS=reference leaves everything to it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from dtrain import env

#: Host arrays of fewer elements are left to NumPy: nothing is compiled for them, and small models
#: start at once. Optimizers, whose bits are the same either way, update shorter blocks.
SMALL, SMALL_STEP = 1 << 16, 1 << 14


def _kernel(family: str, name: str) -> Callable[..., Any]:
    """The kernel `name` of the files `<body>/<family>.py`; its arguments decide the body."""
    reference = getattr(importlib.import_module(f"{__name__}.reference.{family}"), name)

    @functools.wraps(reference)
    def kernel(*args: Any) -> Any:
        body = _body(family, args)
        return (reference if body is None else getattr(body, name))(*args)

    return kernel


def _body(family: str, args: tuple) -> ModuleType | None:
    """The module whose kernels take these arguments; None for the reference."""
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
        return _bodies("cpu", family) if size >= small else None
    return _bodies("cuda", family) if kind.__module__.startswith("cupy") else None


@functools.cache
def _bodies(where: str, family: str) -> ModuleType | None:
    if env.KERNELS.read() == "reference":
        return None
    if where == "cpu" and importlib.util.find_spec("numba") is None:
        return None
    return importlib.import_module(f"{__name__}.{where}.{family}")


softmax = _kernel("softmax", "softmax")
softmax_backward = _kernel("softmax", "softmax_backward")
log_softmax = _kernel("softmax", "log_softmax")
log_softmax_backward = _kernel("softmax", "log_softmax_backward")
cross_entropy = _kernel("softmax", "cross_entropy")
cross_entropy_backward = _kernel("softmax", "cross_entropy_backward")

layer_norm = _kernel("norm", "layer_norm")
layer_norm_backward = _kernel("norm", "layer_norm_backward")
channel_statistics = _kernel("norm", "channel_statistics")
channel_norm = _kernel("norm", "channel_norm")
channel_norm_backward = _kernel("norm", "channel_norm_backward")

relu_backward = _kernel("activation", "relu_backward")
silu = _kernel("activation", "silu")
silu_backward = _kernel("activation", "silu_backward")
gelu = _kernel("activation", "gelu")
gelu_backward = _kernel("activation", "gelu_backward")
gelu_tanh = _kernel("activation", "gelu_tanh")
gelu_tanh_backward = _kernel("activation", "gelu_tanh_backward")

max_pool = _kernel("window", "max_pool")
max_pool_backward = _kernel("window", "max_pool_backward")
avg_pool = _kernel("window", "avg_pool")
avg_pool_backward = _kernel("window", "avg_pool_backward")

conv = _kernel("conv", "conv")
conv_grad_x = _kernel("conv", "conv_grad_x")
conv_grad_weight = _kernel("conv", "conv_grad_weight")

embedding_backward = _kernel("embedding", "embedding_backward")

mean_of_both = _kernel("reduction", "mean_of_both")

sgd = _kernel("optimizer", "sgd")
adam = _kernel("optimizer", "adam")
adamax = _kernel("optimizer", "adamax")
nadam = _kernel("optimizer", "nadam")
radam = _kernel("optimizer", "radam")
rmsprop = _kernel("optimizer", "rmsprop")
adagrad = _kernel("optimizer", "adagrad")
adadelta = _kernel("optimizer", "adadelta")
rprop = _kernel("optimizer", "rprop")
asgd = _kernel("optimizer", "asgd")
