"""Batch and layer normalization as functions."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.ops import norm


def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize over the last dimensions, which are `normalized_shape`."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if input.shape[-len(shape) :] != shape:
        raise RuntimeError(f"layer_norm: expected a shape (..., {shape}), got {input.shape}")
    return norm.layer_norm(input, weight, bias, axes=len(shape), eps=eps)


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
    """Normalize each channel by the batch, or by the running statistics. input: (n, c, ...).

    In training the running statistics, where given, are updated at once; `nn.BatchNorm2d` under
    DataParallel folds them in the order of the microbatches instead.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: running statistics are needed outside training")
        return normalize_channels(
            input, running_mean._array, running_var._array, weight, bias, eps, False
        )
    mean, var = batch_statistics(input)
    if running_mean is not None and running_var is not None:
        fold_statistics(running_mean, running_var, mean, unbiased(var, input), momentum)
    return normalize_channels(input, mean, var, weight, bias, eps, True)


def batch_statistics(input: Tensor) -> tuple[Any, Any]:
    """The mean and biased variance of each channel, as arrays (c,)."""
    if input.numel() and input.numel() == input.shape[1]:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    return norm.batch_statistics(input._array)


def unbiased(var: Any, input: Tensor) -> Any:
    """The unbiased variance of what `batch_statistics` was taken of."""
    count = input.numel() // input.shape[1]
    return var * (count / (count - 1))


def normalize_channels(
    input: Tensor,
    mean: Any,
    var: Any,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    of_batch: bool,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias, per channel."""
    return norm.batch_norm(input, weight, bias, mean=mean, var=var, eps=eps, of_batch=of_batch)


def fold_statistics(
    running_mean: Tensor, running_var: Tensor, mean: Any, var: Any, momentum: float
) -> None:
    """running = (1 - momentum) * running + momentum * new, in place."""
    for running, new in ((running_mean, mean), (running_var, var)):
        array = running._array
        array *= 1 - momentum
        array += array_module(array).asarray(new, array.dtype) * momentum
