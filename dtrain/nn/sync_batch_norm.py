"""Batch normalization by the batch of all ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import Array, array_module, on_device_of
from dtrain.nn.batch_norm import _BatchNorm
from dtrain.nn.module import Module
from dtrain.primitives import normalization


@dataclass(frozen=True)
class GlobalBatchStatistics:
    """Statistics of each channel over the microbatches of all ranks, in float64."""

    count: Array  # (1,)
    mean: Array  # (c,)
    var: Array  # (c,), biased
    #: from this microbatch's sums over two gradients, arrays (c,), to the means over all
    #: microbatches, scaled for this microbatch's loss, which has the weight of its samples
    gradient_means: Callable[[Array, Array], tuple[Array, Array]]
    #: whether this rank updates the running statistics, on behalf of all
    updates_running_stats: bool


class SyncBatchNorm(_BatchNorm):
    """BatchNorm over (n, c, ...) by the batch of all ranks (torch.nn.SyncBatchNorm).

    Under `DataParallel` the statistics are those of all microbatches of a step, which therefore
    run at once: there are as many as ranks. Elsewhere it is BatchNorm.

    >>> import dtrain
    >>> model = dtrain.nn.Sequential(dtrain.nn.Linear(2, 3), dtrain.nn.BatchNorm1d(3))
    >>> SyncBatchNorm.convert_sync_batchnorm(model)[1]
    SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    _ndims = (2, 3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        if process_group is not None:
            raise ValueError(
                "SyncBatchNorm: expected process_group=None, which is all ranks of DataParallel, "
                f"got {process_group!r}"
            )
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        #: from count, mean (c,) and variance (c,) of this rank's microbatch to the statistics of
        #: all ranks; None: normalize by the microbatch alone
        self.gather_statistics: Callable[[int, Array, Array], GlobalBatchStatistics] | None = None

    def forward(self, input: Tensor) -> Tensor:
        if self.gather_statistics is None or not self.training:
            return super().forward(input)
        self._check(input)
        x = input.array
        count = x.size // self.num_features
        with on_device_of(x):
            if count:
                mean, var = normalization.batch_statistics(x)
            else:  # a rank without a sample in this step
                mean = var = array_module(x).zeros(self.num_features, x.dtype)
            batch = self.gather_statistics(count, mean, var)
            if count <= 1:  # else no device need be waited for
                self._check_count(batch.count.item(), input)
            if self.running_mean is not None and batch.updates_running_stats:
                self.update_buffers(batch.mean, batch.var * (batch.count / (batch.count - 1)), 1.0)
            mean, var = batch.mean.astype(mean.dtype), batch.var.astype(var.dtype)
        return normalization.sync_batch_norm(
            input, self.weight, self.bias, mean=mean, var=var, eps=self.eps,
            batch_means=batch.gradient_means,
        )  # fmt: skip

    def _check_count(self, count: float, input: Tensor) -> None:
        if count <= 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size "
                f"{input.shape} and {count:.0f} values on all ranks together"
            )

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: None = None) -> Module:
        """`module`, with its BatchNorm layers replaced by layers of this class.

        They share parameters and running statistics; a BatchNorm layer itself gives a new layer.
        """
        converted = module
        if isinstance(module, _BatchNorm):
            converted = cls(
                module.num_features, module.eps, module.momentum, module.affine,
                module.track_running_stats, process_group, bias=module.bias is not None,
            )  # fmt: skip
            converted.training = module.training
            for name, parameter in module.named_parameters(recurse=False):
                setattr(converted, name, parameter)
            for name, buffer in module.named_buffers(recurse=False):
                setattr(converted, name, buffer)
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted
