"""PyTorch's signatures of random draws: new tensors, and tensors filled in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, Generator, array_module, default_generator, on_device_of
from dtrain.backend.dtypes import DTypeLike, finfo, iinfo, is_floating
from dtrain.backend.random import draw_normal, draw_uniform
from dtrain.functions.creation import random
from dtrain.functions.creation.base import DeviceLike, factory, make_leaf
from dtrain.functions.joining import broadcast_shapes


def _require(name: str, holds: Any, expected: str, got: Any) -> None:
    if not bool(holds):
        raise RuntimeError(f"{name}: expected {expected}, got {got}")


def _floating_only(name: str, input: Tensor) -> None:
    if not is_floating(input.dtype):
        raise NotImplementedError(f"{name}: expected a floating dtype, got {input.dtype}")


def _uniforms(like: Tensor, generator: Generator | None) -> Array:
    """Numbers in [0, 1), in float64 for a float64 tensor and else in float32."""
    dtype = np.float64 if like.dtype == np.float64 else np.float32
    drawn = random.rand(like.shape, dtype=dtype, device=like.device, generator=generator)
    return drawn.array


# --- new tensors ---


@factory
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal random numbers of means and deviations, tensors or numbers (torch.normal)."""
    given = [v for v in (mean, std) if isinstance(v, Tensor)]
    if not given and size is None:
        raise TypeError("normal: expected a tensor as mean or std, or a size")
    for tensor in given:
        _floating_only("normal", tensor)
    lowest = std.array.min() if isinstance(std, Tensor) and std.numel() else std
    _require("normal", isinstance(lowest, Tensor) or lowest >= 0, "std >= 0", lowest)
    shape = broadcast_shapes(*(v.shape for v in given)) if given else size
    dtype = dtype or (given[0].dtype if given else None)
    if device is None and given:
        device = given[0].device
    drawn = random.randn(shape, dtype=dtype, device=device, generator=generator)
    spread, centre = (v.array if isinstance(v, Tensor) else v for v in (std, mean))
    array = array_module(drawn.array).asarray(drawn.array * spread + centre, drawn.dtype)
    return make_leaf(array, requires_grad)


def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """1 with the probabilities in `input`, or p for all, else 0 (torch.bernoulli)."""
    _floating_only("bernoulli", input)
    chance = input.array if p is None else p
    inside = p is None or 0 <= p <= 1
    if p is None:
        inside = ((input.array >= 0) & (input.array <= 1)).all()
    _require("bernoulli", inside, "probabilities in [0, 1]", chance)
    return wrap((_uniforms(input, generator) < chance).astype(input.dtype))


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Places drawn in proportion to the weights in a vector, or in each row (torch.multinomial)."""
    if not is_floating(input.dtype):
        raise RuntimeError(f"multinomial: expected a floating dtype, got {input.dtype}")
    _require("multinomial", 0 < input.ndim < 3, "a vector or a matrix", input.shape)
    count = input.shape[-1]
    _require("multinomial", num_samples > 0, "num_samples > 0", num_samples)
    _require(
        "multinomial", replacement or num_samples <= count, f"at most {count} samples", num_samples
    )
    xp = array_module(input.array)
    with on_device_of(input.array):
        weights = input.array.astype("float64")
        proper = (xp.isfinite(weights) & (weights >= 0)).all()
        _require("multinomial", proper, "finite weights of at least 0", weights)
        totals = weights.sum(-1, keepdims=True)
        _require("multinomial", (totals > 0).all(), "a positive sum of weights", totals)
        columns = num_samples if replacement else count
        shape = (*input.shape[:-1], columns)
        u = random.rand(shape, dtype="float64", device=input.device, generator=generator).array
        if replacement:
            sums = xp.cumsum(weights, -1)[..., None, :]
            indices = (sums <= u[..., None] * totals[..., None]).sum(-1)
            return wrap(xp.minimum(indices, count - 1))
        # Of exponential times at rates w, the first to come is i with chance w[i] / sum(w).
        times = xp.where(weights > 0, -xp.log1p(-u) / xp.where(weights > 0, weights, 1), math.inf)
        return wrap(times.argsort(-1)[..., :num_samples].copy())


# --- in place ---


def _uniform(
    self: Tensor, a: float = 0, b: float = 1, *, generator: Generator | None = None
) -> Array:
    """Fill with uniform random numbers in [a, b); of complex ones, each part."""
    if not self.is_complex():
        _floating_only("uniform_", self)
    _require("uniform_", a <= b, "from <= to", (a, b))
    array = random.draw_for(draw_uniform, self, generator)
    array *= b - a
    array += complex(a, a) if self.is_complex() else a
    return array


def _normal(
    self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Array:
    """Fill with normal random numbers; `mean` is that of each part of complex ones."""
    if not self.is_complex():
        _floating_only("normal_", self)
    _require("normal_", std >= 0, "std >= 0", std)
    array = random.draw_for(draw_normal, self, generator)
    if self.is_complex():
        array *= math.sqrt(0.5)  # the variance of both parts together is 1
    array *= std
    array += complex(mean, mean) if self.is_complex() else mean
    return array


def _bernoulli(
    self: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None
) -> Array:
    """Fill with 1 with probability p, else 0."""
    if isinstance(p, Tensor):
        return bernoulli(p.expand(self.shape), generator=generator).array
    _require("bernoulli_", 0 <= p <= 1, "p in [0, 1]", p)
    xp = array_module(self.array)
    halves = (generator or default_generator()).bits(xp, -(-self.numel() // 2)).view("uint32")
    drawn = halves[: self.numel()] < xp.uint32(min(int(p * 2**32), 2**32 - 1))
    return drawn.reshape(self.shape).astype(self.dtype)


def _exponential(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Array:
    """Fill with exponentially distributed random numbers of rate `lambd`."""
    _floating_only("exponential_", self)
    _require("exponential_", lambd > 0, "lambd > 0", lambd)
    return -array_module(self.array).log1p(-_uniforms(self, generator)) / lambd


def _geometric(self: Tensor, p: float, *, generator: Generator | None = None) -> Array:
    """Fill with the number of trials, each of probability p, up to the first success."""
    _require("geometric_", 0 < p < 1, "p in (0, 1)", p)
    xp = array_module(self.array)
    return xp.floor(xp.log1p(-_uniforms(self, generator)) / math.log1p(-p)) + 1


def _cauchy(
    self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None
) -> Array:
    """Fill with Cauchy distributed random numbers."""
    _floating_only("cauchy_", self)
    _require("cauchy_", sigma > 0, "sigma > 0", sigma)
    turns = _uniforms(self, generator) - 0.5
    return array_module(self.array).tan(math.pi * turns) * sigma + median


def _log_normal(
    self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None
) -> Array:
    """Fill with exponentials of normal random numbers."""
    _floating_only("log_normal_", self)
    _require("log_normal_", std > 0, "std > 0", std)
    return array_module(self.array).exp(_normal(self, mean, std, generator=generator))


def _random(self: Tensor, *limits: int, generator: Generator | None = None, **named: int) -> Array:
    """Fill with integers in [from, to), in [0, to), or all that the dtype holds exactly."""
    low, high = (0, *limits)[-2:] if limits else (named.get("from", 0), named.get("to"))
    if high is None:
        whole = 2 if self.dtype.kind == "b" else None
        if is_floating(self.dtype):
            whole = round(2 / finfo(self.dtype).eps)
        high = (iinfo(self.dtype).max if whole is None else whole - 1) + 1
    xp = array_module(self.array)
    drawn = random.draw_integers(generator or default_generator(), xp, self.numel(), low, high)
    return drawn.reshape(self.shape)


#: How each in-place draw makes its array.
DRAWS: dict[str, Callable[..., Array]] = {
    "bernoulli_": _bernoulli,
    "cauchy_": _cauchy,
    "exponential_": _exponential,
    "geometric_": _geometric,
    "log_normal_": _log_normal,
    "normal_": _normal,
    "random_": _random,
    "uniform_": _uniform,
}
