"""Padding as layers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.functional.spatial import per_axis
from dtrain.nn.module import Module


class _Pad(Module):
    """What all have: widths before and after, from the last axis on; one stands for all."""

    axes: int
    mode: str

    def __init__(self, padding: Any):
        super().__init__()
        self.padding = per_axis(padding, 2 * self.axes, "padding")

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A sequence padded by a number (torch.nn.ConstantPad1d)."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """An image padded by a number (torch.nn.ConstantPad2d)."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A volume padded by a number (torch.nn.ConstantPad3d)."""

    axes = 3


class ZeroPad1d(ConstantPad1d):
    """A sequence padded by zeros (torch.nn.ZeroPad1d)."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """An image padded by zeros (torch.nn.ZeroPad2d)."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """A volume padded by zeros (torch.nn.ZeroPad3d)."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """A sequence padded by its mirror image, without the edge (torch.nn.ReflectionPad1d).

    >>> import dtrain
    >>> ReflectionPad1d((2, 1))(dtrain.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1, 2, 3, 2]])
    """

    axes = 1


class ReflectionPad2d(_ReflectionPad):
    """An image padded by its mirror image, without the edge (torch.nn.ReflectionPad2d)."""

    axes = 2


class ReflectionPad3d(_ReflectionPad):
    """A volume padded by its mirror image, without the edge (torch.nn.ReflectionPad3d)."""

    axes = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """A sequence padded by its edges (torch.nn.ReplicationPad1d)."""

    axes = 1


class ReplicationPad2d(_ReplicationPad):
    """An image padded by its edges (torch.nn.ReplicationPad2d)."""

    axes = 2


class ReplicationPad3d(_ReplicationPad):
    """A volume padded by its edges (torch.nn.ReplicationPad3d)."""

    axes = 3


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"{type(self).__name__}: expected an input of {self.axes + 1} or {self.axes + 2} "
                f"dimensions, got {x.shape}"
            )
        return super().forward(x)


class CircularPad1d(_CircularPad):
    """A sequence padded by what is at the other end (torch.nn.CircularPad1d)."""

    axes = 1


class CircularPad2d(_CircularPad):
    """An image padded by what is at the other end (torch.nn.CircularPad2d)."""

    axes = 2


class CircularPad3d(_CircularPad):
    """A volume padded by what is at the other end (torch.nn.CircularPad3d)."""

    axes = 3
