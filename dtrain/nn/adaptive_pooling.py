"""Pooling to a given output size, with adaptive or random windows, as layers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer, UnaryLayer
from dtrain.nn.functional.spatial import per_axis


class _AdaptiveAvgPool(UnaryLayer):
    def __init__(self, output_size: Any):
        super().__init__(output_size=output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool, function=F.adaptive_avg_pool1d):
    """Mean pooling from (n, c, l) to (n, c, output_size) (torch.nn.AdaptiveAvgPool1d)."""


class AdaptiveAvgPool2d(_AdaptiveAvgPool, function=F.adaptive_avg_pool2d):
    """Mean pooling from (n, c, h, w) to (n, c, *output_size) (torch.nn.AdaptiveAvgPool2d).

    Window i of o covers [floor(i n / o), ceil((i + 1) n / o)); None keeps an axis as it is.

    >>> import dtrain
    >>> AdaptiveAvgPool2d((1, None))(dtrain.ones(2, 3, 7, 5)).shape
    dtrain.Size([2, 3, 1, 5])
    """


class AdaptiveAvgPool3d(_AdaptiveAvgPool, function=F.adaptive_avg_pool3d):
    """Mean pooling from (n, c, d, h, w) to (n, c, *output_size) (torch.nn.AdaptiveAvgPool3d)."""


class _AdaptiveMaxPool(FunctionLayer):
    """Max pooling; with `return_indices` it also returns the flat indices of the maxima."""

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size=output_size, return_indices=return_indices)

    def forward(self, input: Tensor) -> Any:
        return super().forward(input)

    def extra_repr(self) -> str:
        return self._format("output_size")


class AdaptiveMaxPool1d(_AdaptiveMaxPool, function=F.adaptive_max_pool1d):
    """Max pooling from (n, c, l) to (n, c, output_size) (torch.nn.AdaptiveMaxPool1d)."""


class AdaptiveMaxPool2d(_AdaptiveMaxPool, function=F.adaptive_max_pool2d):
    """Max pooling from (n, c, h, w) to (n, c, *output_size) (torch.nn.AdaptiveMaxPool2d)."""


class AdaptiveMaxPool3d(_AdaptiveMaxPool, function=F.adaptive_max_pool3d):
    """Max pooling from (n, c, d, h, w) to (n, c, *output_size) (torch.nn.AdaptiveMaxPool3d)."""


class _FractionalMaxPool(FunctionLayer):
    """Max pooling with random window positions (Graham 2014), to a size or a ratio of the size."""

    axes: int

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: expected an output_size or an output_ratio, one of both")
        if isinstance(output_ratio, (int, float)):
            output_ratio = (output_ratio,) * self.axes
        if output_ratio and not all(0 < ratio < 1 for ratio in output_ratio):
            raise ValueError(
                f"{name}: expected an output_ratio between 0 and 1, got {output_ratio}"
            )
        super().__init__(
            kernel_size=per_axis(kernel_size, self.axes, "kernel_size"),
            output_size=output_size and per_axis(output_size, self.axes, "output_size"),
            output_ratio=output_ratio,
            return_indices=return_indices,
        )
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        return super().forward(input, _random_samples=self._random_samples)

    def extra_repr(self) -> str:
        return ""


class FractionalMaxPool2d(_FractionalMaxPool, function=F.fractional_max_pool2d):
    """Max pooling of (n, c, h, w) with random windows (torch.nn.FractionalMaxPool2d)."""

    axes = 2


class FractionalMaxPool3d(_FractionalMaxPool, function=F.fractional_max_pool3d):
    """Max pooling of (n, c, d, h, w) with random windows (torch.nn.FractionalMaxPool3d)."""

    axes = 3
