"""Padding layers: (n, c, *sizes) or (c, *sizes) with each size enlarged by both its widths."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn import functional as F
from dtrain.nn.functional.spatial import per_axis
from dtrain.nn.module import Module


class _Pad(Module):
    """Pad the last `axes` axes.

    padding: (before, after) of the last axis, then of the one before it, and so on; or one int.
    """

    axes: int
    mode: str
    padding: tuple[int, ...]

    def __init__(self, padding: Any):
        super().__init__()
        self.padding = per_axis(padding, 2 * self.axes, "padding")

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Pad with `value`."""

    mode = "constant"
    value: float

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pad (n, c, l) with a constant (torch.nn.ConstantPad1d)."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Pad (n, c, h, w) with a constant (torch.nn.ConstantPad2d)."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """Pad (n, c, d, h, w) with a constant (torch.nn.ConstantPad3d)."""

    axes = 3


class _ZeroPad(_ConstantPad):
    """Pad with zeros."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pad (n, c, l) with zeros (torch.nn.ZeroPad1d)."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pad (n, c, h, w) with zeros (torch.nn.ZeroPad2d)."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pad (n, c, d, h, w) with zeros (torch.nn.ZeroPad3d)."""


class _ReflectionPad(_Pad):
    """Pad with the mirror image, which leaves out the edge element itself."""

    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """Pad (n, c, l) with its mirror image, without the edge (torch.nn.ReflectionPad1d).

    >>> import dtrain
    >>> ReflectionPad1d((2, 1))(dtrain.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1, 2, 3, 2]])
    """

    axes = 1


class ReflectionPad2d(_ReflectionPad):
    """Pad (n, c, h, w) with its mirror image, without the edge (torch.nn.ReflectionPad2d)."""

    axes = 2


class ReflectionPad3d(_ReflectionPad):
    """Pad (n, c, d, h, w) with its mirror image, without the edge (torch.nn.ReflectionPad3d)."""

    axes = 3


class _ReplicationPad(_Pad):
    """Pad with copies of the edge elements."""

    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """Pad (n, c, l) with its edge elements (torch.nn.ReplicationPad1d)."""

    axes = 1


class ReplicationPad2d(_ReplicationPad):
    """Pad (n, c, h, w) with its edge elements (torch.nn.ReplicationPad2d)."""

    axes = 2


class ReplicationPad3d(_ReplicationPad):
    """Pad (n, c, d, h, w) with its edge elements (torch.nn.ReplicationPad3d)."""

    axes = 3


class _CircularPad(_Pad):
    """Pad with the elements of the opposite end."""

    mode = "circular"

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"{type(self).__name__}: expected an input of {self.axes + 1} or {self.axes + 2} "
                f"dimensions, got {x.shape}"
            )
        return super().forward(x)


class CircularPad1d(_CircularPad):
    """Pad (n, c, l) with the elements of its opposite end (torch.nn.CircularPad1d)."""

    axes = 1


class CircularPad2d(_CircularPad):
    """Pad (n, c, h, w) with the elements of its opposite end (torch.nn.CircularPad2d)."""

    axes = 2


class CircularPad3d(_CircularPad):
    """Pad (n, c, d, h, w) with the elements of its opposite end (torch.nn.CircularPad3d)."""

    axes = 3
