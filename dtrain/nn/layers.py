"""Linear and bilinear layers, and layers that only change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import empty
from dtrain.nn import functional as F, init
from dtrain.nn.function_layer import UnaryLayer
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


def init_like_linear(weight: Tensor, bias: Tensor | None) -> None:
    """Draw weight and bias uniformly from +-1 / sqrt(fan_in), as PyTorch does for Linear and
    Conv.
    """
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = init.fan_in_and_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in else 0
        init.uniform_(bias, -bound, bound)


class Linear(Module):
    """y = x weight^T + bias (torch.nn.Linear).

    Shape: (..., in_features) to (..., out_features); weight (out_features, in_features).

    >>> import dtrain
    >>> Linear(3, 2)(dtrain.ones(5, 3)).shape
    dtrain.Size([5, 2])
    """

    in_features: int
    out_features: int
    weight: Parameter
    bias: Parameter  # None with bias=False, as in PyTorch

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values of the parameters."""
        init_like_linear(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """y_k = x1^T weight_k x2 + bias_k (torch.nn.Bilinear).

    Shape: (..., in1_features) and (..., in2_features) to (..., out_features); weight
    (out_features, in1_features, in2_features).
    """

    in1_features: int
    in2_features: int
    out_features: int
    weight: Parameter
    bias: Parameter  # None with bias=False, as in PyTorch

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if in1_features < 1:
            raise ValueError(f"Bilinear: expected in1_features above 0, got {in1_features}")
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, uniformly from +-1 / sqrt(in1_features)."""
        bound = self.in1_features**-0.5
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Merge dimensions start_dim to end_dim, by default (n, *) to (n, -1) (torch.nn.Flatten)."""

    start_dim: int
    end_dim: int

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Return the input; accepts and ignores any arguments (torch.nn.Identity)."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Unflatten(Module):
    """Split dimension `dim` into the sizes unflattened_size (torch.nn.Unflatten)."""

    dim: int
    unflattened_size: Sequence[int]

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)) or not all(
            isinstance(n, int) for n in unflattened_size
        ):
            raise TypeError(f"Unflatten: expected a tuple of ints, got {unflattened_size!r}")
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class PixelShuffle(UnaryLayer, function=F.pixel_shuffle):
    """(..., c r^2, h, w) to (..., c, h r, w r), r = upscale_factor (torch.nn.PixelShuffle)."""

    def __init__(self, upscale_factor: int):
        super().__init__(upscale_factor=upscale_factor)


class PixelUnshuffle(UnaryLayer, function=F.pixel_unshuffle):
    """(..., c, h r, w r) to (..., c r^2, h, w), r = downscale_factor (torch.nn.PixelUnshuffle)."""

    def __init__(self, downscale_factor: int):
        super().__init__(downscale_factor=downscale_factor)


class ChannelShuffle(UnaryLayer, function=F.channel_shuffle):
    """Interleave the channels of `groups` groups, (n, c, ...) (torch.nn.ChannelShuffle)."""

    def __init__(self, groups: int):
        super().__init__(groups=groups)
