"""Batch, layer, instance and group normalization as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import array_module, kernels, on_device_of
from dtrain.backend.dtypes import finfo, float32, is_half
from dtrain.backend.tracing import current_tracer, tracers
from dtrain.functions.autocast import autocasts
from dtrain.functions.half_precision import in_float32
from dtrain.functions.padding import pad
from dtrain.primitives import normalization


@autocasts
def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, normalized_shape
    (torch.nn.functional.layer_norm; Ba et al. 2016).
    """
    shape = _last_shape("layer_norm", input, normalized_shape, weight, bias)
    return normalization.layer_norm(input, weight, bias, axes=len(shape), eps=eps)


@autocasts
def rms_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions, normalized_shape
    (torch.nn.functional.rms_norm; Zhang and Sennrich 2019).

    `eps` None means finfo(dtype).eps, that of float32 for halves.
    """
    shape = _last_shape("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = finfo(float32 if is_half(input.dtype) else input.dtype).eps
    return normalization.rms_norm(input, weight, axes=len(shape), eps=eps)


def _last_shape(
    name: str, input: Tensor, shape: Any, *parameters: Tensor | None
) -> tuple[int, ...]:
    """Return `shape` as a tuple; the input must end with it, the parameters must have it."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not shape:
        raise RuntimeError(f"{name}: expected a normalized_shape of at least one dimension")
    if input.array.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"{name}: expected an input of shape (..., {', '.join(map(str, shape))}), "
            f"got {input.shape}"
        )
    for parameter in parameters:
        if parameter is not None and parameter.array.shape != shape:
            raise RuntimeError(
                f"{name}: expected parameters of shape {shape}, got {parameter.shape}"
            )
    return shape


@autocasts
@in_float32(like_first=True)
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each of num_groups groups of channels of each sample; weight and bias are per
    channel (torch.nn.functional.group_norm; Wu and He 2018).

    Shape: (n, c, ...), unchanged.
    """
    if input.ndim < 2:
        raise RuntimeError(f"group_norm: expected (n, c, ...), got {input.shape}")
    n, channels = input.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"group_norm: expected a number of groups that divides {channels} channels, "
            f"got {num_groups}"
        )
    if input.numel() == n * channels and n * channels == num_groups:
        raise ValueError(
            f"group_norm: expected more than one value in a group, got {input.shape} in "
            f"{num_groups} groups"
        )
    _check_by_channel("group_norm", input, weight, bias)
    return normalization.group_norm(input, weight, bias, groups=num_groups, eps=eps)


def _check_by_channel(name: str, input: Tensor, weight: Tensor | None, bias: Tensor | None) -> None:
    for parameter in (weight, bias):
        if parameter is not None and parameter.shape != input.shape[1:2]:
            raise RuntimeError(
                f"{name}: expected a parameter for each of {input.shape[1]} channels, got "
                f"{parameter.shape}"
            )


def _by_channel(name: str, input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """input * weight + bias, for weight and bias (c,)."""
    _check_by_channel(name, input, weight, bias)
    shape = (input.shape[1], *(1,) * (input.ndim - 2))
    input = input if weight is None else input * weight.reshape(shape)
    return input if bias is None else input + bias.reshape(shape)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel of each sample (torch.nn.functional.instance_norm; Ulyanov et al.
    2016).

    Shape: (n, c, ...), unchanged. With use_input_stats=False it normalizes by the running
    statistics, like batch_norm in eval mode.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    if running_mean is not None and running_var is not None:
        update_running_statistics(running_mean, running_var, *instance_statistics(input), momentum)
    return normalize_instances(input, weight, bias, eps)


def instance_statistics(input: Tensor) -> tuple[Any, Any]:
    """Each channel's mean and unbiased variance, averaged over the samples, as arrays (c,)."""
    n, channels = input.shape[:2]
    rows = input.detach().reshape(1, n * channels, math.prod(input.shape[2:]))
    mean, var = batch_statistics(rows)
    var = var * unbiased_factor(rows)
    return mean.reshape(n, channels).mean(0), var.reshape(n, channels).mean(0)


@in_float32(like_first=True)
def normalize_instances(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, with the statistics of each channel of each
    sample."""
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    rows = input.reshape(math.prod(input.shape[:2]), math.prod(input.shape[2:]))
    normalized = normalization.layer_norm(rows, None, None, axes=1, eps=eps).reshape(input.shape)
    return _by_channel("instance_norm", normalized, weight, bias)


@in_float32
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta
    (torch.nn.functional.local_response_norm; Krizhevsky et al. 2012, section 3.3).

    Shape: (n, c, l, ...), unchanged.
    """
    if input.ndim < 3:
        raise ValueError(f"local_response_norm: expected (n, c, l, ...), got {input.shape}")
    if not input.numel():
        return input
    around = (0, 0) * (input.ndim - 2) + (size // 2, (size - 1) // 2)
    mean = pad(input * input, around).unfold(1, size, 1).mean(-1)
    return input / (mean * alpha + k) ** beta


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel by its statistics over the batch, or by the running statistics
    (torch.nn.functional.batch_norm; Ioffe and Szegedy 2015).

    Shape: (n, c, ...), unchanged. With `training` the running statistics, if given, are updated at
    once; under DataParallel `nn.BatchNorm2d` updates them in microbatch order instead.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "batch_norm: expected running_mean and running_var with training=False, got None"
            )
        return normalize_channels(
            input, running_mean.array, running_var.array, weight, bias, eps, False
        )
    running = None
    if running_mean is not None and running_var is not None:
        running = running_mean, running_var, None
    if fuses_batch_norm(input, weight, bias, running_mean, running_var):
        return fused_batch_norm(input, weight, bias, eps, running, momentum, False)[0]
    mean, var = batch_statistics(input)
    if running_mean is not None and running_var is not None:
        unbiased = unbiased_factor(input)
        update_running_statistics(running_mean, running_var, mean, var, momentum, unbiased)
    return normalize_channels(input, mean, var, weight, bias, eps, True)


def batch_statistics(input: Tensor) -> tuple[Any, Any]:
    """The mean and biased variance of each channel, as arrays (c,)."""
    _check_count(input)
    return normalization.batch_statistics(input.array)


def _check_count(input: Tensor) -> None:
    if input.array.size and input.array.size == input.array.shape[1]:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )


def fuses_batch_norm(input: Tensor, *others: Tensor | None) -> bool:
    """Whether `fused_batch_norm` takes these: on a GPU, where no graph is being recorded."""
    if type(input.array) is np.ndarray or (tracers and current_tracer() is not None):
        return False
    arrays = (None if t is None else t.array for t in others)
    return kernels.computes_batch_norm(input.array, *arrays)


def fused_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float,
    running: tuple[Tensor, Tensor, Tensor | None] | None, momentum: float, rectified: bool,
) -> tuple[Tensor, Any, Any]:  # fmt: skip
    """Normalize each channel by its statistics over the batch, in the launch that computes them or
    in the next: the output, of relu if `rectified`, and the mean and biased variance, arrays (c,).

    running : the running mean, variance and number of batches, which are updated, or None
    """
    _check_count(input)
    x = input.array
    given = (None if t is None else t.array for t in (weight, bias, *(running or (None,) * 3)))
    with on_device_of(x):
        rows = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        out, mean, var = kernels.batch_norm(
            rows, *given, momentum, unbiased_factor(input), eps, rectified
        )
    computed = out.reshape(x.shape)
    if rectified:
        output = normalization.batch_norm_relu(
            input, weight, bias, mean=mean, var=var, eps=eps, computed=computed
        )
    else:
        output = normalization.batch_norm(
            input, weight, bias, mean=mean, var=var, eps=eps, from_batch=True, computed=computed
        )
    return output, mean, var


def unbiased_factor(input: Tensor) -> float:
    """The unbiased variance over the biased one, which `batch_statistics(input)` returns."""
    count = input.array.size // input.array.shape[1]
    return count / (count - 1)


@in_float32(on_device=False, like_first=True)
def normalize_channels(
    input: Tensor,
    mean: Any,
    var: Any,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    from_batch: bool,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias, per channel."""
    mean, var = _widen(mean), _widen(var)
    return normalization.batch_norm(
        input, weight, bias, mean=mean, var=var, eps=eps, from_batch=from_batch
    )


def update_running_statistics(
    running_mean: Tensor, running_var: Tensor, mean: Any, var: Any, momentum: float,
    correction: float = 1.0, batches: Tensor | None = None,
) -> None:  # fmt: skip
    """running = (1 - momentum) * running + momentum * new, in place, for mean and var * correction;
    `batches` grows by 1."""
    xp = array_module(running_mean.array)
    kernels.update_running(
        running_mean.array, running_var.array, xp.asarray(mean), xp.asarray(var), momentum,
        correction, None if batches is None else batches.array,
    )  # fmt: skip


def _widen(array: Any) -> Any:
    """A float32 copy of an array of halves, another array itself."""
    return array.astype(float32) if is_half(array.dtype) else array
