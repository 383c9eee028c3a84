"""Batch and layer normalization."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.functional.normalization import (
    batch_statistics,
    fold_statistics,
    normalize_channels,
    unbiased,
)
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter
from dtrain.ops.creation import ones, tensor, zeros


class _BatchNorm(Module):
    """Normalize each channel over the batch (Ioffe and Szegedy 2015)."""

    _ndims: tuple[int, ...]

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
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        like = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_features, **like)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(num_features, **like)) if affine and bias else None
        )
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **like) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **like) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, device=device) if tracked else None)
        #: where a list, statistics wait in it to be folded by its owner, in an order of its own
        self.waiting_statistics: list[tuple[Any, Any]] | None = None

    def reset_running_stats(self) -> None:
        """Begin the running statistics anew: mean 0, variance 1."""
        if self.running_mean is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self._ndims or x.shape[1] != self.num_features:
            ndims = " or ".join(f"{n}D" for n in self._ndims)
            raise ValueError(
                f"{type(self).__name__}: expected {ndims} input with "
                f"{self.num_features} channels, got shape {x.shape}"
            )
        if not self.training and self.running_mean is not None:
            mean, var = self.running_mean._array, self.running_var._array
            return normalize_channels(x, mean, var, self.weight, self.bias, self.eps, False)
        if not x.numel():
            return x  # a rank without a sample in this step
        mean, var = batch_statistics(x)
        if self.training and self.running_mean is not None:
            statistics = mean, unbiased(var, x)
            if self.waiting_statistics is None:
                self.fold_statistics(*statistics)
            else:
                self.waiting_statistics.append(statistics)
        return normalize_channels(x, mean, var, self.weight, self.bias, self.eps, True)

    def fold_statistics(self, mean: Any, var: Any) -> None:
        """Fold one microbatch's mean and unbiased variance, arrays (c,), into the running ones."""
        self.num_batches_tracked._array += 1
        momentum = self.momentum
        if momentum is None:  # the plain average of all
            momentum = 1 / self.num_batches_tracked.item()
        fold_statistics(self.running_mean, self.running_var, mean, var, momentum)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """BatchNorm over (n, c) or (n, c, l) (torch.nn.BatchNorm1d)."""

    _ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """BatchNorm over images (n, c, h, w) (torch.nn.BatchNorm2d).

    Statistics are those of one microbatch; the running ones are folded in the order of the
    microbatches over all ranks, so that they too are the same on any number of ranks.
    """

    _ndims = (4,)


class LayerNorm(Module):
    """Normalize over the last dimensions (Ba et al. 2016) (torch.nn.LayerNorm)."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.normalized_shape, self.eps = shape, eps
        self.elementwise_affine = elementwise_affine
        like = {"device": device, "dtype": dtype}
        affine = elementwise_affine
        self.register_parameter("weight", Parameter(ones(shape, **like)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(shape, **like)) if affine and bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )
