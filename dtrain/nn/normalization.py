"""Normalization within a sample, without running statistics, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import ones, zeros
from dtrain.nn import functional as F, init
from dtrain.nn.function_layer import UnaryLayer
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


class Affine(Module):
    """A layer with a weight of initially ones and a bias of initially zeros, or neither."""

    weight: Parameter  # None without affine parameters, as in PyTorch
    bias: Parameter  # None with bias=False

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        for name, parameter in self.named_parameters(recurse=False):
            init.constant_(parameter, float(name == "weight"))


class LayerNorm(Affine):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and biased variance over the last
    dimensions, whose sizes are normalized_shape (torch.nn.LayerNorm; Ba et al. 2016).

    Shape: (*, *normalized_shape), unchanged.
    """

    normalized_shape: tuple[int, ...]
    eps: float
    elementwise_affine: bool

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        like = {"device": device, "dtype": dtype}
        affine = elementwise_affine
        self.register_parameter("weight", Parameter(ones(shape, **like)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(shape, **like)) if affine and bias else None
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Affine):
    """x / sqrt(mean(x^2) + eps) * weight, with the mean over the last dimensions, whose sizes are
    normalized_shape (torch.nn.RMSNorm; Zhang and Sennrich 2019).

    eps defaults to the machine epsilon of the input's dtype, to float32's for halves.
    """

    normalized_shape: tuple[int, ...]
    eps: float | None
    elementwise_affine: bool

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = shape = _as_shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(ones(shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


def _as_shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class GroupNorm(Affine):
    """Normalize each of num_groups groups of channels of each sample, then scale and shift each
    channel: (n, num_channels, ...), unchanged (torch.nn.GroupNorm; Wu and He 2018).
    """

    num_groups: int
    num_channels: int
    eps: float
    affine: bool

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels={num_channels} must be divisible by "
                f"num_groups={num_groups}"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        like = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_channels, **like)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(num_channels, **like)) if affine and bias else None
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(UnaryLayer, function=F.local_response_norm):
    """x / (k + alpha * mean of x^2 over `size` neighboring channels)^beta, for (n, c, ...)
    (torch.nn.LocalResponseNorm; Krizhevsky et al. 2012, section 3.3).
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__(size=size, alpha=alpha, beta=beta, k=k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
