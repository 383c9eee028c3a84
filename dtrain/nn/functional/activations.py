"""Activations as functions: the output has the input's shape unless the docstring says
otherwise."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import FLOATING, float32, is_floating
from dtrain.functions import activations as functions, scattering
from dtrain.functions.activations import sigmoid as sigmoid, tanh as tanh
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import random
from dtrain.functions.half_precision import in_float32
from dtrain.functions.inplace import make_inplace
from dtrain.functions.operands import normalize_dim
from dtrain.primitives import activations

_P = ParamSpec("_P")

#: SELU's constants, for the fixed point mean 0, variance 1 (Klambauer et al. 2017, equation 14).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def choose_form(inplace: bool, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operation, or with `inplace` its in-place form."""
    return make_inplace(f"{operation.__name__}_", operation) if inplace else operation


def require_floats(name: str, input: Tensor) -> None:
    """Refuse a tensor of integers or bools."""
    if input.array.dtype.kind not in FLOATING:
        raise NotImplementedError(
            f"{name}: expected a floating dtype, got {input.dtype}; convert it with .float()"
        )


def _require_numbers(name: str, input: Tensor) -> None:
    if input.dtype.kind == "b":
        raise RuntimeError(f"{name}: expected numbers, got a tensor of dtype bool")


def _uniforms(like: Tensor) -> Tensor:
    """Uniform random numbers in [0, 1) of a tensor's shape, float32 for every dtype."""
    return random.rand(like.shape, dtype=float32, device=like.device)


# --- piecewise linear ---


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0) (torch.nn.functional.relu)."""
    return choose_form(inplace, activations.relu)(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x if x > 0 else negative_slope * x (torch.nn.functional.leaky_relu)."""
    require_floats("leaky_relu", input)
    return choose_form(inplace, activations.leaky_relu)(input, slope=negative_slope)


@autocasts
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x if x > 0 else weight * x (torch.nn.functional.prelu; He et al. 2015).

    weight: (1,), or (c,): one for each channel, dimension 1 of the input.
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
    """x if x > 0 else slope * x, the slope of each element drawn from [lower, upper)
    (torch.nn.functional.rrelu; Xu et al. 2015).

    Without `training` the slope is the mean of both.
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
    """x if x > threshold else value (torch.nn.functional.threshold)."""
    if input.dtype.kind == "b":
        raise NotImplementedError("threshold: expected numbers, got a tensor of dtype bool")
    return choose_form(inplace, activations.threshold)(input, limit=threshold, value=value)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """min(max(x, min_val), max_val) (torch.nn.functional.hardtanh)."""
    _require_numbers("hardtanh", input)
    if min_val > max_val:
        raise ValueError(f"hardtanh: expected min_val <= max_val, got {min_val} and {max_val}")
    number = float if is_floating(input.dtype) else int
    low, high = number(min_val), number(max_val)
    return choose_form(inplace, activations.hardtanh)(input, low=low, high=high)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6) (torch.nn.functional.relu6)."""
    return hardtanh(input, 0, 6, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x / 6 + 1/2, 0), 1) (torch.nn.functional.hardsigmoid; Howard et al. 2019)."""
    require_floats("hardsigmoid", input)
    return choose_form(inplace, activations.hardsigmoid)(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (torch.nn.functional.hardswish; Howard et al. 2019)."""
    require_floats("hardswish", input)
    return choose_form(inplace, activations.hardswish)(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x if |x| > lambd else 0 (torch.nn.functional.hardshrink)."""
    require_floats("hardshrink", input)
    return activations.hardshrink(input, reach=lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x - sign(x) * lambd if |x| > lambd else 0 (torch.nn.functional.softshrink)."""
    require_floats("softshrink", input)
    if not lambd >= 0:
        raise RuntimeError(f"softshrink: expected lambd >= 0, got {lambd}")
    return activations.softshrink(input, reach=lambd)


# --- smooth ---


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x if x > 0 else alpha * (exp(x) - 1) (torch.nn.functional.elu; Clevert et al. 2016)."""
    require_floats("elu", input)
    return choose_form(inplace, activations.elu)(input, alpha=alpha, scale=1.0, rate=1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """SELU_SCALE * elu(x, SELU_ALPHA) (torch.nn.functional.selu; Klambauer et al. 2017)."""
    require_floats("selu", input)
    return choose_form(inplace, activations.elu)(
        input, alpha=SELU_ALPHA, scale=SELU_SCALE, rate=1.0
    )


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x if x > 0 else alpha * (exp(x / alpha) - 1) (torch.nn.functional.celu; Barron 2017)."""
    require_floats("celu", input)
    if not alpha:
        raise RuntimeError("celu: expected an alpha that is not 0")
    return choose_form(inplace, activations.elu)(input, alpha=alpha, scale=1.0, rate=1 / alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x) (torch.nn.functional.silu; Elfwing et al. 2017)."""
    require_floats("silu", input)
    return choose_form(inplace, activations.silu)(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (torch.nn.functional.mish; Misra 2019)."""
    require_floats("mish", input)
    return choose_form(inplace, _mish)(input)


@in_float32
def _mish(input: Tensor) -> Tensor:
    return input * tanh(softplus(input))


_mish.__name__ = "mish"


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution's cumulative function (torch.nn.functional.gelu).

    `approximate="tanh"`: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
    """
    require_floats("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: expected approximate 'none' or 'tanh', got {approximate!r}")
    return activations.gelu(input) if approximate == "none" else activations.gelu_tanh(input)


@in_float32
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the halves of the input along `dim` (torch.nn.functional.glu).

    Shape: (..., 2 n, ...) to (..., n, ...). Dauphin et al. 2017.
    """
    require_floats("glu", input)
    if not input.ndim:
        raise RuntimeError("glu: expected at least one dimension, got a 0-d tensor")
    axis = normalize_dim(dim, input.ndim)
    if input.shape[axis] % 2:
        raise RuntimeError(f"glu: expected an even size along dim {dim}, got {input.shape}")
    return activations.glu(input, axis=axis)


@autocasts
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta; x where beta * x > threshold
    (torch.nn.functional.softplus).
    """
    require_floats("softplus", input)
    return activations.softplus(input, beta=beta, threshold=threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow (torch.nn.functional.logsigmoid)."""
    require_floats("logsigmoid", input)
    return -activations.softplus(-input, beta=1.0, threshold=float("inf"))


@in_float32
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|) (torch.nn.functional.softsign)."""
    return input / (input.abs() + 1)


@in_float32
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
    """`dim`; if None PyTorch's choice, with a warning."""
    if dim is not None:
        return dim
    warnings.warn(f"{name}: omitting dim is deprecated; give it", stacklevel=stacklevel)
    return 0 if input.ndim in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): samples from a relaxed categorical distribution
    (torch.nn.functional.gumbel_softmax; Jang et al. 2017).

    `hard`: one-hot samples with the gradient of the relaxed ones.
    """
    noise = _uniforms(logits).clamp(min=2**-25)  # 2^-25 < all drawn but 0; log(0) = -inf
    gumbels = (-(-(-noise).log1p()).log()).to(logits.dtype)
    soft = functions.softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    chosen = soft.detach().argmax(dim, keepdim=True)
    zeros = soft.detach() * 0
    return scattering.scatter(zeros, dim, chosen, 1.0) - soft.detach() + soft


# --- in place ---


def _inplace_form_of(
    function: Callable[_P, Tensor],
) -> Callable[[Callable[[], None]], Callable[_P, Tensor]]:
    """Decorator: replace a function without a body by the in-place form of `function`.

    It has the name and docstring of the one decorated, and the parameters of `function`.
    """

    def bind(declaration: Callable[[], None]) -> Callable[_P, Tensor]:
        form = make_inplace(declaration.__name__, function)
        form.__qualname__, form.__module__ = declaration.__qualname__, declaration.__module__
        form.__doc__ = declaration.__doc__
        form.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return form

    return bind


@_inplace_form_of(relu)
def relu_() -> None:
    """relu, written into the input; returns it (torch.nn.functional.relu_)."""


@_inplace_form_of(leaky_relu)
def leaky_relu_() -> None:
    """leaky_relu, written into the input; returns it (torch.nn.functional.leaky_relu_)."""


@_inplace_form_of(rrelu)
def rrelu_() -> None:
    """rrelu, written into the input; returns it (torch.nn.functional.rrelu_)."""


@_inplace_form_of(threshold)
def threshold_() -> None:
    """threshold, written into the input; returns it (torch.nn.functional.threshold_)."""


@_inplace_form_of(hardtanh)
def hardtanh_() -> None:
    """hardtanh, written into the input; returns it (torch.nn.functional.hardtanh_)."""


@_inplace_form_of(elu)
def elu_() -> None:
    """elu, written into the input; returns it (torch.nn.functional.elu_)."""


@_inplace_form_of(selu)
def selu_() -> None:
    """selu, written into the input; returns it (torch.nn.functional.selu_)."""


@_inplace_form_of(celu)
def celu_() -> None:
    """celu, written into the input; returns it (torch.nn.functional.celu_)."""
