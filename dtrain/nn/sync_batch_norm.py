"""Batch normalization by the batch of all ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import array_module, on_device_of
from dtrain.nn.batch_norm import _BatchNorm
from dtrain.nn.module import Module
from dtrain.primitives import normalization


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
        #: where there is one, takes the count, mean and variance of this batch, and gives those of
        #: the whole batch that it is a part of
        self.of_whole_batch: Callable[[int, Any, Any], Any] | None = None

    def forward(self, input: Tensor) -> Tensor:
        if self.of_whole_batch is None or not self.training:
            return super().forward(input)
        self._check(input)
        x = input.array
        count = x.size // self.num_features
        with on_device_of(x):
            if count:
                mean, var = normalization.batch_statistics(x)
            else:  # a rank without a sample in this step
                mean = var = array_module(x).zeros(self.num_features, x.dtype)
            whole = self.of_whole_batch(count, mean, var)
            if count <= 1:  # else no device need be waited for
                self._check_count(whole.count.item(), input)
            if self.running_mean is not None and whole.tracked_here:
                self.update_buffers(whole.mean, whole.var * (whole.count / (whole.count - 1)))
            mean, var = whole.mean.astype(mean.dtype), whole.var.astype(var.dtype)
        return normalization.sync_batch_norm(
            input, self.weight, self.bias, mean=mean, var=var, eps=self.eps,
            batch_means=whole.gradient_means,
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
