"""Random draws that several distributions share, each from one uniform number.

A draw is the quantile of a number that the counter-based generator gives: nothing is rejected, so
the same numbers come out wherever and in whatever order they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, on_device_of
from dtrain.backend.dtypes import DTypeLike, finfo
from dtrain.functions.creation.random import rand, randn
from dtrain.primitives.special import log_gamma_quantile, special_functions


def draw_normal(shape: Sequence[int], like: Tensor) -> Tensor:
    """Standard normal numbers in the dtype and on the device of a tensor."""
    return randn(shape, dtype=like.dtype, device=like.device)


def draw_uniform(shape: Sequence[int], like: Tensor, dtype: DTypeLike = None) -> Tensor:
    """Uniform numbers in the open interval (0, 1), so that their logarithms are finite."""
    drawn = rand(shape, dtype=dtype or like.dtype, device=like.device)
    eps = finfo(drawn.dtype).eps
    return drawn.clamp(eps / 4, 1 - eps / 2)


def draw_log_gamma(shape: Sequence[int], concentration: Tensor) -> Tensor:
    """float64 logarithms of draws of gamma distributions of rate 1, differentiable."""
    uniform = draw_uniform(shape, concentration, "float64")
    return log_gamma_quantile(concentration.double().expand(shape), uniform=uniform.array)


def draw_poisson(rate: Tensor, shape: Sequence[int]) -> Tensor:
    """Counts of Poisson distributions."""
    uniform = draw_uniform(shape, rate, "float64").array
    with on_device_of(uniform):
        xp, special = array_module(uniform), special_functions(uniform)
        mean = xp.broadcast_to(rate.array.astype("float64"), shape)
        most = xp.ceil(mean + 9 * xp.sqrt(mean) + 60)  # more are drawn once in 1e17 times
        counts = _find_count(uniform, most, lambda k: special.gammaincc(k + 1, mean))
        return wrap(counts.astype(rate.dtype))


def draw_binomial(total_count: Tensor, probs: Tensor, shape: Sequence[int]) -> Tensor:
    """Numbers of successes among `total_count` trials."""
    uniform = draw_uniform(shape, probs, "float64").array
    with on_device_of(uniform):
        xp, special = array_module(uniform), special_functions(uniform)
        n = xp.broadcast_to(total_count.array.astype("float64"), shape)
        failure = 1 - xp.broadcast_to(probs.array.astype("float64"), shape)
        counts = _find_count(uniform, n, lambda k: special.betainc(n - k, k + 1, failure))
        return wrap(counts.astype(probs.dtype))


def _find_count(uniform: Array, most: Array, cdf: Callable[[Array], Array]) -> Array:
    """The smallest integers k in [0, most] with cdf(k) > uniform, by bisection."""
    xp: Any = array_module(uniform)
    low, high = xp.full_like(uniform, -1), most
    largest = float(most.max()) if most.size else 0
    for _ in range(math.ceil(math.log2(largest + 2))):
        middle = xp.floor((low + high) / 2)
        above = (cdf(middle) > uniform) & (middle >= 0)
        low, high = xp.where(above, low, middle), xp.where(above, middle, high)
    return high
