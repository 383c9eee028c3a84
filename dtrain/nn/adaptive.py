"""Pooling to a size that is given, as layers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.functional.windows import per_axis
from dtrain.nn.module import Module


class _AdaptiveAvgPool(Module):
    axes: int

    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return getattr(F, f"adaptive_avg_pool{self.axes}d")(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of as many windows of a sequence as are asked for (torch.nn.AdaptiveAvgPool1d)."""

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of as many windows of an image as are asked for (torch.nn.AdaptiveAvgPool2d).

    >>> import dtrain
    >>> AdaptiveAvgPool2d((1, None))(dtrain.ones(2, 3, 7, 5)).shape
    dtrain.Size([2, 3, 1, 5])
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of as many windows of a volume as are asked for (torch.nn.AdaptiveAvgPool3d)."""

    axes = 3


class _AdaptiveMaxPool(Module):
    axes: int

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x: Tensor) -> Any:
        pool = getattr(F, f"adaptive_max_pool{self.axes}d")
        return pool(x, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of as many windows of a sequence as are asked for (torch.nn.AdaptiveMaxPool1d)."""

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of as many windows of an image as are asked for (torch.nn.AdaptiveMaxPool2d)."""

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of as many windows of a volume as are asked for (torch.nn.AdaptiveMaxPool3d)."""

    axes = 3


class _FractionalMaxPool(Module):
    axes: int

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: expected an output_size or an output_ratio, one of both")
        self.kernel_size = per_axis(kernel_size, self.axes, "kernel_size")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = output_size and per_axis(output_size, self.axes, "output_size")
        if isinstance(output_ratio, (int, float)):
            output_ratio = (output_ratio,) * self.axes
        self.output_ratio = output_ratio
        if output_ratio and not all(0 < ratio < 1 for ratio in output_ratio):
            raise ValueError(
                f"{name}: expected an output_ratio between 0 and 1, got {output_ratio}"
            )

    def forward(self, x: Tensor) -> Any:
        pool = getattr(F, f"fractional_max_pool{self.axes}d")
        return pool(
            x, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows at random places of an image (torch.nn.FractionalMaxPool2d)."""

    axes = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima of windows at random places of a volume (torch.nn.FractionalMaxPool3d)."""

    axes = 3
