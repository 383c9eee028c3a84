"""Convolution over one, two or three axes, and its transpose, as layers.

Sizes of a convolution: floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1;
of a transpose: (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import empty
from dtrain.nn import functional as F
from dtrain.nn.functional.spatial import Ints, per_axis
from dtrain.nn.layers import init_like_linear
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """A convolution: weight (out_channels, in_channels / groups, *kernel_size), bias, options."""

    axes: int
    transposed: bool = False
    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    padding_mode: str
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel_size, self.axes, "kernel_size")
        self.stride = per_axis(stride, self.axes, "stride")
        self.padding = (
            padding if isinstance(padding, str) else per_axis(padding, self.axes, "padding")
        )
        self.dilation = per_axis(dilation, self.axes, "dilation")
        self.output_padding = (0,) * self.axes
        self.padding_mode = padding_mode
        self._check_options()
        ends = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (ends[0], ends[1] // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, uniformly from +-1 / sqrt(fan_in)."""
        init_like_linear(self.weight, self.bias)

    def _check_options(self) -> None:
        name, groups = type(self).__name__, self.groups
        if groups < 1 or self.in_channels % groups or self.out_channels % groups:
            raise ValueError(
                f"{name}: in_channels={self.in_channels} and out_channels={self.out_channels} "
                f"must be divisible by groups={groups}"
            )
        modes = ("zeros",) if self.transposed else PADDING_MODES
        if self.padding_mode not in modes:
            raise ValueError(f"{name}: expected padding_mode in {modes}, got {self.padding_mode!r}")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"{name}: expected padding of ints, 'same' or 'valid', got {self.padding!r}"
                )
            if self.padding == "same" and set(self.stride) != {1}:
                raise ValueError(f"{name}: padding='same' needs stride 1, got {self.stride}")

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        if self.padding != (0,) * self.axes:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.axes:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text

    def forward(self, x: Tensor) -> Tensor:
        convolve = getattr(F, f"conv{self.axes}d")
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._pad_widths(), self.padding_mode), 0
        return convolve(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _pad_widths(self) -> list[int]:
        """The padding in the form of `F.pad`: (before, after) of each axis, the last axis first."""
        if not isinstance(self.padding, str):
            pairs = [(width, width) for width in self.padding]
        elif self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            pairs = [(total // 2, total - total // 2) for total in totals]
        else:
            pairs = [(0, 0)] * self.axes
        return [width for pair in reversed(pairs) for width in pair]


class Conv1d(_ConvNd):
    """Cross-correlation of (n, in_channels, l) to (n, out_channels, l') (torch.nn.Conv1d)."""

    axes = 1


class Conv2d(_ConvNd):
    """Cross-correlation of (n, in_channels, h, w) to (n, out_channels, h', w') (torch.nn.Conv2d).

    >>> import dtrain
    >>> Conv2d(3, 8, 3, padding=1)(dtrain.ones(2, 3, 5, 5)).shape
    dtrain.Size([2, 8, 5, 5])
    """

    axes = 2


class Conv3d(_ConvNd):
    """Cross-correlation of (n, in_channels, d, h, w) to (n, out_channels, d', h', w')
    (torch.nn.Conv3d).
    """

    axes = 3


class _ConvTranspose(_ConvNd):
    """A transposed convolution: weight (in_channels, out_channels / groups, *kernel_size)."""

    output_padding: tuple[int, ...]

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
        self.output_padding = per_axis(output_padding, self.axes, "output_padding")

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        convolve = getattr(F, f"conv_transpose{self.axes}d")
        return convolve(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding
            if output_size is None
            else self._output_padding_for(x, tuple(output_size)),
            self.groups,
            self.dilation,
        )

    def _output_padding_for(self, x: Tensor, output_size: tuple[int, ...]) -> tuple[int, ...]:
        """The output_padding that gives this output size."""
        if len(output_size) not in (self.axes, x.ndim):
            raise ValueError(
                f"{type(self).__name__}: expected an output_size of {self.axes} or {x.ndim} "
                f"numbers, got {output_size}"
            )
        assert not isinstance(self.padding, str)
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                x.shape[-self.axes :], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        rest = tuple(n - low for n, low in zip(output_size[-self.axes :], least))
        if any(not 0 <= more < s for more, s in zip(rest, self.stride)):
            most = [low + s - 1 for low, s in zip(least, self.stride)]
            raise ValueError(
                f"{type(self).__name__}: expected an output_size from {least} to {most} for an "
                f"input of shape {x.shape}, got {output_size}"
            )
        return rest


class ConvTranspose1d(_ConvTranspose):
    """The gradient of Conv1d for its input: (n, c, l) to (n, m, l') (torch.nn.ConvTranspose1d)."""

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The gradient of Conv2d for its input: (n, c, h, w) to (n, m, h', w')
    (torch.nn.ConvTranspose2d).

    >>> import dtrain
    >>> up = ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> up(dtrain.ones(2, 8, 5, 5)).shape, up(dtrain.ones(2, 8, 5, 5), output_size=(10, 10)).shape
    (dtrain.Size([2, 3, 9, 9]), dtrain.Size([2, 3, 10, 10]))
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The gradient of Conv3d for its input: (n, c, d, h, w) to (n, m, d', h', w')
    (torch.nn.ConvTranspose3d).
    """

    axes = 3
