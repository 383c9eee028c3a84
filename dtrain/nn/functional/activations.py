"""Activations as functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import float32, is_floating
from dtrain.functions import activations as functions, scattering, splitting
from dtrain.functions.creation import random
from dtrain.functions.inplace import make_inplace
from dtrain.functions.operands import normalize_dim
from dtrain.primitives import activations

tanh = functions.tanh
sigmoid = functions.sigmoid

#: Of the fixed point that SELU's outputs are drawn to (Klambauer et al. 2017, equation 14).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def applied(
    inplace: bool, operation: Callable[..., Tensor], input: Tensor, **static: Any
) -> Tensor:
    """An operation, or its in-place form."""
    if inplace:
        return make_inplace(f"{operation.__name__}_", operation)(input, **static)
    return operation(input, **static)


def require_floats(name: str, input: Tensor) -> None:
    """Refuse integers and bools."""
    if not is_floating(input.dtype):
        raise NotImplementedError(
            f"{name}: expected a floating dtype, got {input.dtype}; convert it with .float()"
        )


def _require_numbers(name: str, input: Tensor) -> None:
    if input.dtype == "bool":
        raise RuntimeError(f"{name}: expected numbers, got a tensor of dtype bool")


def _uniforms(like: Tensor) -> Tensor:
    """Random numbers in [0, 1) in the shape of a tensor, the same for every dtype."""
    return random.rand(like.shape, dtype=float32, device=like.device)


# --- straight lines ---


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0) (torch.nn.functional.relu)."""
    return applied(inplace, activations.relu, input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, negative_slope * x elsewhere (torch.nn.functional.leaky_relu)."""
    require_floats("leaky_relu", input)
    return applied(inplace, activations.leaky_relu, input, slope=negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, weight * x elsewhere (He et al. 2015) (torch.nn.functional.prelu).

    weight: one number, or one for each channel, dimension 1 of the input.
    """
    require_floats("prelu", input)
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise RuntimeError(
            f"prelu: expected one weight, or {channels}, for input {input.shape}, "
            f"got {weight.shape}"
        )
    if weight.dtype != input.dtype:
        raise RuntimeError(
            f"prelu: expected input and weight of one dtype, got {input.dtype} and {weight.dtype}"
        )
    if weight.numel() > 1:
        weight = weight.reshape(channels, *(1,) * (input.ndim - 2))
    elif not input.ndim:
        weight = weight.reshape(())
    return activations.prelu(input, weight)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """leaky_relu with slopes drawn from [lower, upper) (torch.nn.functional.rrelu).

    Outside training the slope is their mean (Xu et al. 2015).
    """
    require_floats("rrelu", input)
    if lower > upper:
        raise RuntimeError(f"rrelu: expected lower <= upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = (_uniforms(input) * (upper - lower) + lower).to(input.dtype)
    if inplace:
        return make_inplace("rrelu_", activations.prelu)(input, slope)
    return activations.prelu(input, slope)


def threshold(input: Tensor, threshold: Any, value: Any, inplace: bool = False) -> Tensor:
    """x where it is above the threshold, else `value` (torch.nn.functional.threshold)."""
    if input.dtype == "bool":
        raise NotImplementedError("threshold: expected numbers, got a tensor of dtype bool")
    return applied(inplace, activations.threshold, input, limit=threshold, value=value)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x within [min_val, max_val] (torch.nn.functional.hardtanh)."""
    _require_numbers("hardtanh", input)
    if min_val > max_val:
        raise ValueError(f"hardtanh: expected min_val <= max_val, got {min_val} and {max_val}")
    number = float if is_floating(input.dtype) else int
    low, high = number(min_val), number(max_val)
    return applied(inplace, activations.hardtanh, input, low=low, high=high)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x within [0, 6] (torch.nn.functional.relu6)."""
    return hardtanh(input, 0, 6, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2 within [0, 1] (Howard et al. 2019) (torch.nn.functional.hardsigmoid)."""
    require_floats("hardsigmoid", input)
    return applied(inplace, activations.hardsigmoid, input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (Howard et al. 2019) (torch.nn.functional.hardswish)."""
    require_floats("hardswish", input)
    return applied(inplace, activations.hardswish, input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 in [-lambd, lambd], x elsewhere (torch.nn.functional.hardshrink)."""
    require_floats("hardshrink", input)
    return activations.hardshrink(input, reach=lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 in [-lambd, lambd], else x - sign(x) * lambd (torch.nn.functional.softshrink)."""
    require_floats("softshrink", input)
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: expected lambd >= 0, got {lambd}")
    return activations.softshrink(input, reach=lambd)


# --- curves ---


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere (torch.nn.functional.elu).

    Clevert et al. 2016.
    """
    require_floats("elu", input)
    return applied(inplace, activations.elu, input, alpha=alpha, scale=1.0, rate=1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu scaled so that outputs tend to mean 0, variance 1 (torch.nn.functional.selu).

    Klambauer et al. 2017.
    """
    require_floats("selu", input)
    return applied(inplace, activations.elu, input, alpha=SELU_ALPHA, scale=SELU_SCALE, rate=1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere (torch.nn.functional.celu).

    Barron 2017.
    """
    require_floats("celu", input)
    if not alpha:
        raise RuntimeError("celu: expected an alpha that is not 0")
    return applied(inplace, activations.elu, input, alpha=alpha, scale=1.0, rate=1 / alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x) (Elfwing et al. 2017) (torch.nn.functional.silu)."""
    require_floats("silu", input)
    return applied(inplace, activations.silu, input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019) (torch.nn.functional.mish)."""
    require_floats("mish", input)
    return applied(inplace, _mish, input)


def _mish(input: Tensor) -> Tensor:
    return input * tanh(softplus(input))


_mish.__name__ = "mish"


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution's cumulative function, or its approximation by "tanh"."""
    require_floats("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    return activations.gelu(input) if approximate == "none" else activations.gelu_tanh(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second (torch.nn.functional.glu).

    Dauphin et al. 2017.
    """
    require_floats("glu", input)
    if not input.ndim:
        raise RuntimeError("glu: expected at least one dimension, got a 0-d tensor")
    size = input.shape[normalize_dim(dim, input.ndim)]
    if size % 2:
        raise RuntimeError(f"glu: expected an even size along dim {dim}, got {input.shape}")
    values, gates = splitting.split(input, size // 2, dim) if size else (input, input)
    return values * sigmoid(gates)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta (torch.nn.functional.softplus).

    Where beta * x is above the threshold it is x.
    """
    require_floats("softplus", input)
    return activations.softplus(input, beta=beta, threshold=threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow (torch.nn.functional.logsigmoid)."""
    require_floats("logsigmoid", input)
    return -activations.softplus(-input, beta=1.0, threshold=float("inf"))


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|) (torch.nn.functional.softsign)."""
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x) (torch.nn.functional.tanhshrink)."""
    return input - tanh(input)


# --- along a dimension ---


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim` (torch.nn.functional.softmax)."""
    return functions.softmax(input, _dim("softmax", input, dim, _stacklevel), dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)) along `dim` (torch.nn.functional.log_softmax)."""
    return functions.log_softmax(input, _dim("log_softmax", input, dim, _stacklevel), dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x) along `dim` (torch.nn.functional.softmin)."""
    return functions.softmax(-input, _dim("softmin", input, dim, _stacklevel), dtype)


def _dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """`dim`, or PyTorch's choice where it is not given."""
    if dim is not None:
        return dim
    warnings.warn(f"{name}: give dim; to leave it away is deprecated", stacklevel=stacklevel)
    return 0 if input.ndim in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Samples from a softened categorical distribution (torch.nn.functional.gumbel_softmax).

    `hard` gives one-hot samples with the gradient of the soft ones (Jang et al. 2017).
    """
    noise = _uniforms(logits).clamp(min=2**-25)  # below all that is drawn but 0: log(0) is infinite
    gumbels = (-(-(-noise).log1p()).log()).to(logits.dtype)
    soft = functions.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    chosen = soft.detach().argmax(dim, keepdim=True)
    zeros = soft.detach() * 0
    return scattering.scatter(zeros, dim, chosen, 1.0) - soft.detach() + soft


# --- in place ---

relu_, leaky_relu_, rrelu_, threshold_, hardtanh_, elu_, selu_, celu_ = (
    make_inplace(f"{function.__name__}_", function)
    for function in (relu, leaky_relu, rrelu, threshold, hardtanh, elu, selu, celu)
)
