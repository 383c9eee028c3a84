"""Maxima, means and norms of windows along one, two or three axes, as layers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.functional.windows import per_axis
from dtrain.nn.module import Module


class _MaxPool(Module):
    axes: int

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x: Tensor) -> Any:
        pool = getattr(F, f"max_pool{self.axes}d")
        return pool(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maximum of each window of a sequence (torch.nn.MaxPool1d)."""

    axes = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window of an image (torch.nn.MaxPool2d)."""

    axes = 2


class MaxPool3d(_MaxPool):
    """The maximum of each window of a volume (torch.nn.MaxPool3d)."""

    axes = 3


class _MaxUnpool(Module):
    axes: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__()
        self.kernel_size = per_axis(kernel_size, self.axes, "kernel_size")
        self.stride = per_axis(kernel_size if stride is None else stride, self.axes, "stride")
        self.padding = per_axis(padding, self.axes, "padding")

    def forward(self, x: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        unpool = getattr(F, f"max_unpool{self.axes}d")
        return unpool(x, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Maxima back at their places in a sequence of zeros (torch.nn.MaxUnpool1d)."""

    axes = 1


class MaxUnpool2d(_MaxUnpool):
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


class MaxUnpool3d(_MaxUnpool):
    """Maxima back at their places in a volume of zeros (torch.nn.MaxUnpool3d)."""

    axes = 3


class AvgPool1d(Module):
    """The mean of each window of a sequence (torch.nn.AvgPool1d)."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 1, "kernel_size")
        self.stride = per_axis(kernel_size if stride is None else stride, 1, "stride")
        self.padding = per_axis(padding, 1, "padding")
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window of an image (torch.nn.AvgPool2d)."""

    axes = 2

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        pool = getattr(F, f"avg_pool{self.axes}d")
        return pool(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool3d(AvgPool2d):
    """The mean of each window of a volume (torch.nn.AvgPool3d)."""

    axes = 3


class _LPPool(Module):
    axes: int

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ):
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        pool = getattr(F, f"lp_pool{self.axes}d")
        return pool(x, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norm of each window of a sequence (torch.nn.LPPool1d)."""

    axes = 1


class LPPool2d(_LPPool):
    """The p-norm of each window of an image (torch.nn.LPPool2d)."""

    axes = 2


class LPPool3d(_LPPool):
    """The p-norm of each window of a volume (torch.nn.LPPool3d)."""

    axes = 3
