"""Pooling layers over one, two or three axes: (n, c, *sizes) or (c, *sizes) to the same with
floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1 windows along each axis."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer, UnaryLayer
from dtrain.nn.functional.spatial import per_axis


class _MaxPool(FunctionLayer):
    """Max pooling; with `return_indices` it also returns the flat indices of the maxima."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__(
            kernel_size=kernel_size,
            stride=kernel_size if stride is None else stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
            return_indices=return_indices,
        )

    def forward(self, input: Tensor) -> Any:
        return super().forward(input)

    def extra_repr(self) -> str:
        return self._format("kernel_size", "stride", "padding", "dilation", "ceil_mode")


class MaxPool1d(_MaxPool, function=F.max_pool1d):
    """Max pooling over (n, c, l) (torch.nn.MaxPool1d)."""


class MaxPool2d(_MaxPool, function=F.max_pool2d):
    """Max pooling over (n, c, h, w) (torch.nn.MaxPool2d)."""


class MaxPool3d(_MaxPool, function=F.max_pool3d):
    """Max pooling over (n, c, d, h, w) (torch.nn.MaxPool3d)."""


class _MaxUnpool(FunctionLayer):
    """The partial inverse of max pooling: maxima at their indices, zeros elsewhere."""

    axes: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__(
            kernel_size=per_axis(kernel_size, self.axes, "kernel_size"),
            stride=per_axis(kernel_size if stride is None else stride, self.axes, "stride"),
            padding=per_axis(padding, self.axes, "padding"),
        )

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return super().forward(input, indices, output_size=output_size)


class MaxUnpool1d(_MaxUnpool, function=F.max_unpool1d):
    """Put the maxima of MaxPool1d back at their indices, zeros elsewhere (torch.nn.MaxUnpool1d)."""

    axes = 1


class MaxUnpool2d(_MaxUnpool, function=F.max_unpool2d):
    """Put the maxima of MaxPool2d back at their indices, zeros elsewhere (torch.nn.MaxUnpool2d).

    >>> import dtrain
    >>> maxima, indices = dtrain.nn.MaxPool2d(2, return_indices=True)(
    ...     dtrain.arange(8.0).reshape(1, 2, 4)
    ... )
    >>> MaxUnpool2d(2)(maxima, indices)
    tensor([[[0., 0., 0., 0.],
             [0., 5., 0., 7.]]])
    """

    axes = 2


class MaxUnpool3d(_MaxUnpool, function=F.max_unpool3d):
    """Put the maxima of MaxPool3d back at their indices, zeros elsewhere (torch.nn.MaxUnpool3d)."""

    axes = 3


class AvgPool1d(UnaryLayer, function=F.avg_pool1d):
    """Mean pooling over (n, c, l) (torch.nn.AvgPool1d)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(
            kernel_size=per_axis(kernel_size, 1, "kernel_size"),
            stride=per_axis(kernel_size if stride is None else stride, 1, "stride"),
            padding=per_axis(padding, 1, "padding"),
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )

    def extra_repr(self) -> str:
        return self._format("kernel_size", "stride", "padding")


class _AvgPool(UnaryLayer):
    """Mean pooling; padding counts as zeros, or with count_include_pad=False not at all."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__(
            kernel_size=kernel_size,
            stride=kernel_size if stride is None else stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )

    def extra_repr(self) -> str:
        return self._format("kernel_size", "stride", "padding")


class AvgPool2d(_AvgPool, function=F.avg_pool2d):
    """Mean pooling over (n, c, h, w) (torch.nn.AvgPool2d)."""


class AvgPool3d(_AvgPool, function=F.avg_pool3d):
    """Mean pooling over (n, c, d, h, w) (torch.nn.AvgPool3d)."""


class _LPPool(UnaryLayer):
    """Pooling by the p-norm (sum of x^p)^(1 / p) of each window, p = norm_type."""

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ):
        super().__init__(
            norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode
        )


class LPPool1d(_LPPool, function=F.lp_pool1d):
    """Pooling over (n, c, l) by the p-norm of each window (torch.nn.LPPool1d)."""


class LPPool2d(_LPPool, function=F.lp_pool2d):
    """Pooling over (n, c, h, w) by the p-norm of each window (torch.nn.LPPool2d)."""


class LPPool3d(_LPPool, function=F.lp_pool3d):
    """Pooling over (n, c, d, h, w) by the p-norm of each window (torch.nn.LPPool3d)."""
