"""Batch and instance normalization layers, with running statistics."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import ones, tensor, zeros
from dtrain.nn.activations import ReLU
from dtrain.nn.deferred_updates import BufferUpdate, DeferredBufferUpdates
from dtrain.nn.functional.normalization import (
    batch_statistics,
    fused_batch_norm,
    fuses_batch_norm,
    instance_statistics,
    normalize_channels,
    normalize_instances,
    unbiased_factor,
    update_running_statistics,
)
from dtrain.nn.normalization import Affine
from dtrain.nn.parameter import Parameter


class _ChannelNorm(DeferredBufferUpdates, Affine):
    """The base class of batch and instance normalization: weight, bias and running statistics,
    (num_features,) each."""

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool
    _ndims: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        like: dict[str, Any],
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(ones(num_features, **like)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(num_features, **like)) if affine and bias else None
        )
        count = tensor(0, device=like["device"]) if track_running_stats else None
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **like) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **like) if tracked else None)
        self.register_buffer("num_batches_tracked", count)

    def reset_parameters(self) -> None:
        """Reset the parameters and the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def reset_running_stats(self) -> None:
        """Reset the running statistics: mean 0, variance 1, no batches."""
        if self.running_mean is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def _channel_dim(self, input: Tensor) -> int:
        return 1

    def _check(self, input: Tensor) -> None:
        fits = input.array.ndim in self._ndims
        if not fits or input.array.shape[self._channel_dim(input)] != self.num_features:
            ndims = " or ".join(f"{n}D" for n in self._ndims)
            raise ValueError(
                f"{type(self).__name__}: expected {ndims} input with "
                f"{self.num_features} channels, got shape {input.shape}"
            )

    def _normalize_by_running_stats(self, input: Tensor) -> Tensor:
        """Normalize by the running statistics."""
        mean, var = self.running_mean.array, self.running_var.array
        return normalize_channels(input, mean, var, self.weight, self.bias, self.eps, False)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, with each channel's mean and biased variance
    over the batch, in eval mode the running ones (Ioffe and Szegedy 2015).

    Under DataParallel the statistics are those of one microbatch, and the running statistics are
    updated in the order of the microbatches over all ranks, so that they do not depend on the
    number of ranks.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        like = {"device": device, "dtype": dtype}
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, like)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        if not self.training and self.running_mean is not None:
            return self._normalize_by_running_stats(input)
        if not input.numel():
            return input  # a rank without a sample in this step
        if input.is_cuda and self._is_fused(input):
            return self._normalize_by_batch(input, rectified=False)
        mean, var = batch_statistics(input)
        if self.training and self.running_mean is not None:
            self.update_buffers(mean, var, unbiased_factor(input))
        return normalize_channels(input, mean, var, self.weight, self.bias, self.eps, True)

    def _is_fused(self, input: Tensor) -> bool:
        return fuses_batch_norm(input, self.weight, self.bias, self.running_mean, self.running_var)

    def _normalize_by_batch(self, input: Tensor, rectified: bool) -> Tensor:
        """Normalize by the batch, on a GPU; with relu if `rectified`."""
        updates = self.training and self.running_mean is not None
        deferred = self.pending_updates is not None
        running, momentum = None, 0.0
        if updates and not deferred:
            running = self.running_mean, self.running_var, self.num_batches_tracked
            momentum = self._momentum()
        out, mean, var = fused_batch_norm(
            input, self.weight, self.bias, self.eps, running, momentum, rectified
        )
        if updates and deferred:
            self.update_buffers(mean, var, unbiased_factor(input))
        return out

    def _momentum(self) -> float:
        if self.momentum is None:  # the cumulative average
            return 1 / (self.num_batches_tracked.item() + 1)
        return self.momentum

    def apply_update(self, update: BufferUpdate) -> None:
        """Update the running statistics by a microbatch's mean and biased variance, (c,) each, and
        the unbiased variance over the biased one."""
        running = self.running_mean, self.running_var
        mean, var, correction = update
        update_running_statistics(
            *running, mean, var, self._momentum(), correction, self.num_batches_tracked
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (n, c) or (n, c, l) (torch.nn.BatchNorm1d)."""

    _ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (n, c, h, w) (torch.nn.BatchNorm2d)."""

    _ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (n, c, d, h, w) (torch.nn.BatchNorm3d)."""

    _ndims = (5,)


def normalize_with_relu(norm: Any, relu: Any, input: Any) -> Tensor | None:
    """relu(norm(input)) in the launches of the normalization, with the same bits; None where these
    are no BatchNorm that trains on a GPU, and ReLU, or where something has a hook between them."""
    if type(relu) is not ReLU or type(norm) not in (BatchNorm1d, BatchNorm2d, BatchNorm3d):
        return None
    if norm._hooks is not None or relu._hooks is not None or type(input) is not Tensor:
        return None
    if not (norm.training and input.is_cuda and input.numel() and norm._is_fused(input)):
        return None
    norm._check(input)
    return norm._normalize_by_batch(input, rectified=True)


class _InstanceNorm(_ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and biased variance of each
    channel of each sample (Ulyanov et al. 2016).
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        like = {"device": device, "dtype": dtype}
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, like)

    def _channel_dim(self, input: Tensor) -> int:
        return 0 if input.ndim == self._ndims[0] else 1  # 0: an input without a batch

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        if self._channel_dim(input) == 0:
            return self.forward(input.unsqueeze(0)).squeeze(0)
        if not self.training and self.running_mean is not None:
            return self._normalize_by_running_stats(input)
        if not input.numel():
            return input  # a rank without a sample in this step
        if self.training and self.running_mean is not None:
            self.update_buffers(*instance_statistics(input))
        return normalize_instances(input, self.weight, self.bias, self.eps)

    def apply_update(self, update: BufferUpdate) -> None:
        """Update the running statistics by a microbatch's mean and variance, (c,) each."""
        mean, var = update
        momentum = self.momentum or 0.0
        update_running_statistics(self.running_mean, self.running_var, mean, var, momentum)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of (n, c, l) or (c, l) (torch.nn.InstanceNorm1d)."""

    _ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of (n, c, h, w) or (c, h, w) (torch.nn.InstanceNorm2d)."""

    _ndims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalization of (n, c, d, h, w) or (c, d, h, w) (torch.nn.InstanceNorm3d)."""

    _ndims = (4, 5)
