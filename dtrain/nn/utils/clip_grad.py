"""Gradient clipping: by the norm of all gradients together, or by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from dtrain.autograd import Tensor, no_grad
from dtrain.autograd.bucket_hooks import Sharding
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module, is_cupy, kernels, on_device_of
from dtrain.backend.dtypes import float32, is_half
from dtrain.backend.kernels.reference.joining import count_blocks
from dtrain.functions.creation import tensor
from dtrain.functions.joining import stack
from dtrain.functions.reductions import norm


def _all(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _widen(x: Tensor) -> Tensor:
    return x.to(float32) if is_half(x.dtype) else x


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The gradients; of sharded parameters this rank's parts of them."""
    params = _all(parameters)
    grads = [param._grad if _sharding(param) else param.grad for param in params]
    return [grad for grad in grads if grad is not None]


def _sharding(param: Tensor) -> Sharding | None:
    return None if param._bucket is None else param._bucket.sharding


def _map(
    tensors: list[Tensor], fn: Callable[[list[Tensor]], Sequence[Any]], of_params: bool
) -> Sequence[Any]:
    """What `fn` gives of each tensor, or of the whole gradient of each parameter that has one.

    The ranks gather sharded gradients, a bucket at a time.
    """
    if not (of_params and any(map(_sharding, tensors))):
        return fn(_gradients(tensors) if of_params else tensors)
    found: dict[Sharding, dict[int, Any]] = {}
    values: list[Any] = []
    for param in tensors:
        sharding = _sharding(param)
        if sharding is not None and param._grad is not None:
            if sharding not in found:
                found[sharding] = sharding.map_gradients(fn)
            values.append(found[sharding][param._bucket_index])
        elif param.grad is not None:
            values += fn([param.grad])
    return values


def _are_host_arrays(tensors: list[Tensor]) -> bool:
    """Whether all tensors are on the host and of float32, or all of float64."""
    dtype = tensors[0].array.dtype
    return dtype.char in "fd" and all(
        type(x.array) is np.ndarray and x.array.dtype == dtype for x in tensors
    )


def _find_device_arrays(tensors: list[Tensor]) -> list[Array] | None:
    """The tensors' arrays, if they are contiguous, of one dtype and on one GPU."""
    arrays = [x.array for x in tensors]
    first = arrays[0]
    if not is_cupy(first) or (first.dtype.char not in "fd" and not is_half(first.dtype)):
        return None
    alike = all(
        is_cupy(x) and x.dtype == first.dtype and x.device == first.device and x.flags.c_contiguous
        for x in arrays
    )
    return arrays if alike else None


def _sum_squares(tensors: list[Tensor]) -> list[float]:
    flats = [np.ravel(x.array) for x in tensors]
    return [float(np.dot(flat, flat)) for flat in flats]


def _sum_squares_in_float64(tensors: list[Tensor]) -> list[float]:
    return [float(np.square(x.array, dtype=np.float64).sum()) for x in tensors]


def _sum_squares_on_device(tensors: list[Tensor]) -> list[Array]:
    sums = kernels.sums_of_squares(*(x.array for x in tensors))
    ends = list(accumulate(count_blocks(x.numel()) for x in tensors))
    return [sums[start:end] for start, end in zip([0, *ends], ends)]


def _norms(tensors: list[Tensor], norm_type: float) -> list[Tensor]:
    return [norm(_widen(x), norm_type) for x in tensors]


def _euclidean_norm(tensors: list[Tensor], of_params: bool) -> float:
    """The root of the sum of all squares; the sums of the tensors are added in float64."""
    with np.errstate(all="ignore"):
        total = sum(_map(tensors, _sum_squares, of_params))
        if not math.isfinite(total):  # of float32 the squares may be too large, the norm is not
            total = sum(_map(tensors, _sum_squares_in_float64, of_params))
    return math.sqrt(total)


@no_grad
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector (torch.nn.utils.get_total_norm).

    That of float16 and bfloat16 tensors is float32: it may be larger than a half can be.

    `foreach` has no effect, here and below.

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is NaN or infinite.

    >>> import dtrain
    >>> get_total_norm([dtrain.tensor([3.0]), dtrain.tensor([4.0])])
    tensor(5.)
    """
    return _compute_norm(_all(tensors), norm_type, error_if_nonfinite, of_params=False)


@no_grad
def _compute_norm(
    tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool, of_params: bool
) -> Tensor:
    """The norm of all tensors, or of the gradients of all parameters."""
    every = _gradients(tensors) if of_params else tensors
    if not every:
        return tensor(0.0)
    if norm_type == 2 and _are_host_arrays(every):
        total = tensor(_euclidean_norm(tensors, of_params), dtype=every[0].dtype)
    elif norm_type == 2 and (arrays := _find_device_arrays(every)):
        dtype = "float32" if is_half(arrays[0].dtype) else arrays[0].dtype.name
        with on_device_of(arrays[0]):
            if of_params and any(map(_sharding, tensors)):
                parts = _map(tensors, _sum_squares_on_device, of_params)
                sums = array_module(arrays[0]).concatenate(parts)
            else:
                sums = kernels.sums_of_squares(*arrays)
            total = wrap(kernels.root_of_sum(sums, dtype))
    else:
        norms = _map(tensors, lambda some: _norms(some, norm_type), of_params)
        total = norm(stack(norms), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"the norm of order {norm_type} of the gradients is {total.item()}: "
            "it cannot be clipped; give error_if_nonfinite=False to scale all the same"
        )
    return total


def _scale_in_place(grad: Tensor, factor: Any) -> None:
    """`mul_` with a number of the gradient's dtype, for most gradients without its checks."""
    flags = grad.array.flags
    if flags.c_contiguous and flags.writeable and not grad.requires_grad:
        grad.array *= factor
        grad._version[0] += 1
    else:
        grad.mul_(wrap(factor))


@no_grad
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients, whose common norm is `total_norm`, to a norm of at most `max_norm`
    (torch.nn.utils.clip_grads_with_norm_)."""
    gradients = _gradients(parameters)
    arrays = _find_device_arrays(gradients) if gradients and total_norm.is_cuda else None
    if arrays and (total_norm.device, total_norm.dtype) == (
        gradients[0].device,
        float32 if is_half(arrays[0].dtype) else arrays[0].dtype,
    ):
        with on_device_of(arrays[0]):
            kernels.clip_all(*arrays, total_norm.array, float(max_norm))
        for grad in gradients:
            grad._version[0] += 1
        return
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    if gradients and not scale.is_cuda and _are_host_arrays(gradients):
        factor = scale.array.astype(gradients[0].array.dtype)
        if factor == 1:
            return
        for grad in gradients:
            _scale_in_place(grad, factor)
        return
    for grad in gradients:
        if is_half(grad.dtype):  # a small scale is 0 in float16
            grad.copy_(_widen(grad) * scale.to(grad.device, float32))
        else:
            grad.mul_(scale.to(grad.device, grad.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm`; returns the norm before
    scaling (torch.nn.utils.clip_grad_norm_).

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is NaN or infinite; the gradients are unchanged.

    >>> import dtrain
    >>> w = dtrain.zeros(2, requires_grad=True)
    >>> w.grad = dtrain.tensor([3.0, 4.0])
    >>> clip_grad_norm_([w], 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    params = _all(parameters)
    total = _compute_norm(params, norm_type, error_if_nonfinite, of_params=True)
    clip_grads_with_norm_(params, max_norm, total)
    return total


@no_grad
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clamp each element of the gradients to [-clip_value, clip_value]
    (torch.nn.utils.clip_grad_value_)."""
    for grad in _gradients(parameters):
        grad.clamp_(-clip_value, clip_value)


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_` (torch.nn.utils.clip_grad_norm)."""
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
