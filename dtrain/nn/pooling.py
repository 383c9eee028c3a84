"""Maxima, means and norms of windows along one, two or three axes, as layers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer
from dtrain.nn.functional.spatial import per_axis


class _MaxPool(FunctionLayer):
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

    def extra_repr(self) -> str:
        return self._shown("kernel_size", "stride", "padding", "dilation", "ceil_mode")


class MaxPool1d(_MaxPool, of=F.max_pool1d):
    """The maximum of each window of a sequence (torch.nn.MaxPool1d)."""


class MaxPool2d(_MaxPool, of=F.max_pool2d):
    """The maximum of each window of an image (torch.nn.MaxPool2d)."""


class MaxPool3d(_MaxPool, of=F.max_pool3d):
    """The maximum of each window of a volume (torch.nn.MaxPool3d)."""


class _MaxUnpool(FunctionLayer):
    axes: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__(
            kernel_size=per_axis(kernel_size, self.axes, "kernel_size"),
            stride=per_axis(kernel_size if stride is None else stride, self.axes, "stride"),
            padding=per_axis(padding, self.axes, "padding"),
        )

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return super().forward(input, indices, output_size=output_size)


class MaxUnpool1d(_MaxUnpool, of=F.max_unpool1d):
    """Maxima back at their places in a sequence of zeros (torch.nn.MaxUnpool1d)."""

    axes = 1


class MaxUnpool2d(_MaxUnpool, of=F.max_unpool2d):
    """Maxima back at their places in an image of zeros (torch.nn.MaxUnpool2d).

    >>> import dtrain
    >>> maxima, places = dtrain.nn.MaxPool2d(2, return_indices=True)(
    ...     dtrain.arange(8.0).reshape(1, 2, 4)
    ... )
    >>> MaxUnpool2d(2)(maxima, places)
    tensor([[[0., 0., 0., 0.],
             [0., 5., 0., 7.]]])
    """

    axes = 2


class MaxUnpool3d(_MaxUnpool, of=F.max_unpool3d):
    """Maxima back at their places in a volume of zeros (torch.nn.MaxUnpool3d)."""

    axes = 3


class AvgPool1d(FunctionLayer, of=F.avg_pool1d):
    """The mean of each window of a sequence (torch.nn.AvgPool1d)."""

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
        return self._shown("kernel_size", "stride", "padding")


class _AvgPool(FunctionLayer):
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
        return self._shown("kernel_size", "stride", "padding")


class AvgPool2d(_AvgPool, of=F.avg_pool2d):
    """The mean of each window of an image (torch.nn.AvgPool2d)."""


class AvgPool3d(_AvgPool, of=F.avg_pool3d):
    """The mean of each window of a volume (torch.nn.AvgPool3d)."""


class _LPPool(FunctionLayer):
    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ):
        super().__init__(
            norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode
        )


class LPPool1d(_LPPool, of=F.lp_pool1d):
    """The p-norm of each window of a sequence (torch.nn.LPPool1d)."""


class LPPool2d(_LPPool, of=F.lp_pool2d):
    """The p-norm of each window of an image (torch.nn.LPPool2d)."""


class LPPool3d(_LPPool, of=F.lp_pool3d):
    """The p-norm of each window of a volume (torch.nn.LPPool3d)."""
