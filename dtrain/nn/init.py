"""Initialize parameters in place (torch.nn.init)."""

from __future__ import annotations

import math
import warnings

import numpy as np

from dtrain.autograd import Tensor, no_grad
from dtrain.backend import Generator, array_module
from dtrain.backend.dtypes import float32, float64
from dtrain.functions import creation, special
from dtrain.functions.creation import random
from dtrain.functions.linalg import factorizations

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The recommended gain of a nonlinearity's weights; `param` is the negative slope of leaky_relu
    (torch.nn.init.calculate_gain).
    """
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ValueError(f"calculate_gain: expected a number as slope, got {param!r}")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"calculate_gain: expected one of {sorted([*_GAINS, 'leaky_relu'])}, "
            f"got {nonlinearity!r}"
        )
    return _GAINS[nonlinearity]


def fan_in_and_out(tensor: Tensor) -> tuple[int, int]:
    """The number of inputs and of outputs of a unit: fan_in, fan_out. tensor: (out, in, ...)"""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need at least 2 dimensions, got {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


_calculate_fan_in_and_fan_out = fan_in_and_out  # PyTorch's name


# --- constants and one distribution for all elements ---


@no_grad
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with `val` (torch.nn.init.constant_)."""
    return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros (torch.nn.init.zeros_)."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones (torch.nn.init.ones_)."""
    return constant_(tensor, 1.0)


@no_grad
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Draw from the uniform distribution over [a, b) (torch.nn.init.uniform_)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Draw from a normal distribution (torch.nn.init.normal_)."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from a normal distribution truncated to [a, b] (torch.nn.init.trunc_normal_).

    Uniform numbers are transformed by the inverse cumulative distribution function, in float64.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: mean={mean} is more than 2 std from [{a}, {b}]: the values may be "
            "distributed otherwise",
            stacklevel=2,
        )
    low, high = (math.erf((limit - mean) / (std * math.sqrt(2))) for limit in (a, b))
    u = random.rand(tensor.shape, dtype=float64, device=tensor.device, generator=generator)
    values = special.erfinv(u * (high - low) + low) * (std * math.sqrt(2)) + mean
    return tensor.copy_(values.clamp(a, b))


# --- scaled by the number of inputs and outputs ---


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (torch.nn.init.xavier_uniform_).

    Glorot and Bengio 2010.
    """
    bound = gain * math.sqrt(6 / sum(fan_in_and_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal, std = gain * sqrt(2 / (fan_in + fan_out)) (torch.nn.init.xavier_normal_).

    Glorot and Bengio 2010.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fan_in_and_out(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: expected mode 'fan_in' or 'fan_out', got {mode!r}")
    if not tensor.numel():
        warnings.warn("kaiming: the tensor has no elements to initialize", stacklevel=3)
    fan = fan_in_and_out(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform in +-gain * sqrt(3 / fan) (He et al. 2015) (torch.nn.init.kaiming_uniform_)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal, std = gain / sqrt(fan) (He et al. 2015) (torch.nn.init.kaiming_normal_)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


# --- matrices and kernels of a given form ---


def _require_ndim(name: str, tensor: Tensor, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected} dimensions, got {tensor.shape}")


@no_grad
def eye_(tensor: Tensor) -> Tensor:
    """Ones on the diagonal of a matrix, zeros elsewhere (torch.nn.init.eye_)."""
    _require_ndim("eye_", tensor, tensor.ndim == 2, "2")
    rows, columns = tensor.shape
    return tensor.copy_(creation.eye(rows, columns, dtype=tensor.dtype, device=tensor.device))


@no_grad
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weight the identity of each channel (torch.nn.init.dirac_).

    tensor: (out, in, *sizes), with 1, 2 or 3 sizes; each group is an identity of its own.
    """
    _require_ndim("dirac_", tensor, tensor.ndim in (3, 4, 5), "3, 4 or 5")
    if tensor.shape[0] % groups:
        raise ValueError(f"dirac_: groups={groups} must divide {tensor.shape[0]} output channels")
    outputs = tensor.shape[0] // groups
    channels = np.tile(np.arange(min(outputs, tensor.shape[1])), groups)
    first = np.repeat(np.arange(groups) * outputs, channels.size // groups)
    kernel = np.zeros(tensor.shape, bool)
    passed = (first + channels, channels, *(n // 2 for n in tensor.shape[2:]))
    kernel[passed] = True
    xp = array_module(tensor.array)
    tensor.zero_().array[xp.asarray(kernel)] = 1
    return tensor


@no_grad
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Draw a matrix (n, product of the other sizes) with orthonormal rows or columns, times gain
    (torch.nn.init.orthogonal_; Saxe et al. 2014).
    """
    _require_ndim("orthogonal_", tensor, tensor.ndim > 1, "2 or more")
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    dtype = float64 if tensor.dtype == float64 else float32
    shape = (max(rows, columns), min(rows, columns))
    q, r = factorizations.qr(
        random.randn(shape, dtype=dtype, device=tensor.device, generator=generator)
    )
    q = q * r.diagonal().sign()  # uniform over orthogonal matrices (Mezzadri 2007)
    q = q.t() if rows < columns else q
    return tensor.copy_((q * gain).reshape(tensor.shape))


@no_grad
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Draw from a normal distribution, and set a fraction `sparsity` of each column to zero
    (torch.nn.init.sparse_; Martens 2010).
    """
    _require_ndim("sparse_", tensor, tensor.ndim == 2, "2")
    ranks = random.rand(tensor.shape, device=tensor.device, generator=generator).argsort(0)
    tensor.normal_(0, std, generator=generator)
    return tensor.masked_fill_(ranks < math.ceil(sparsity * tensor.shape[0]), 0)


# --- PyTorch's old names ---

constant, dirac, eye, sparse = constant_, dirac_, eye_, sparse_
normal, orthogonal, uniform = normal_, orthogonal_, uniform_
kaiming_normal, kaiming_uniform = kaiming_normal_, kaiming_uniform_
xavier_normal, xavier_uniform = xavier_normal_, xavier_uniform_
