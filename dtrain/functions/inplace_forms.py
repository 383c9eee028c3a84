"""The in-place methods of Tensor that are a function's in-place form, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.functions import (
    activations,
    arithmetic,
    comparison,
    complex_numbers,
    exponentials,
    indexing,
    limits,
    methods,
    rounding,
    scans,
    special,
    statistics,
    trigonometry,
)
from dtrain.functions.creation.base import convert_number
from dtrain.functions.inplace import make_inplace
from dtrain.functions.operands import Number
from dtrain.functions.sampling import DRAWS


def _make_replacement(make: Callable[..., Array]) -> Callable[..., Tensor]:
    """An operation of an array that does not depend on the values that it replaces."""

    @functools.wraps(make)
    def operation(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        array = make(self, *args, **kwargs)
        array = array.astype(self.dtype, copy=False)
        if array.shape != self.shape:
            array = array_module(self.array).broadcast_to(array, self.shape)
        return wrap(array)

    return operation


def _zero(self: Tensor) -> Array:
    """Set all elements to 0."""
    return array_module(self.array).zeros((), self.dtype)


def _fill(self: Tensor, value: Tensor | Number) -> Array:
    """Set all elements to `value`, a number or a 0-d tensor."""
    return array_module(self.array).asarray(convert_number(value, self.dtype), self.dtype)


def _copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy the elements of `src`, which broadcasts; its gradient flows to `src`."""
    moved = src.to(device=self.device, dtype=self.dtype)
    return moved if moved.shape == self.shape else moved.expand(self.shape)


def _inplace_forms(module: Any, names: str) -> dict[str, Callable[..., Tensor]]:
    return {f"{name}_": make_inplace(f"{name}_", getattr(module, name)) for name in names.split()}


INPLACE = {
    **_inplace_forms(activations, "relu sigmoid tanh"),
    **_inplace_forms(
        arithmetic,
        "abs add addcdiv addcmul copysign div float_power lerp mul neg pow reciprocal "
        "rsqrt sqrt square sub true_divide",
    ),
    **_inplace_forms(complex_numbers, "sgn"),
    "conj_physical_": make_inplace("conj_physical_", complex_numbers.conj),
    **_inplace_forms(exponentials, "exp exp2 expm1 ldexp log log10 log1p log2 logit xlogy"),
    **_inplace_forms(limits, "clamp clamp_max clamp_min nan_to_num"),
    **_inplace_forms(indexing, "masked_fill"),
    **_inplace_forms(
        rounding,
        "ceil floor floor_divide fmod frac gcd heaviside lcm nextafter remainder round sign trunc",
    ),
    **_inplace_forms(special, "digamma erf erfc erfinv i0 lgamma mvlgamma"),
    **_inplace_forms(
        trigonometry,
        "acos acosh asin asinh atan atan2 atanh cos cosh deg2rad hypot rad2deg sin sinc sinh tan",
    ),
    **_inplace_forms(statistics, "renorm"),
    "polygamma_": make_inplace("polygamma_", methods.polygamma),
    **_inplace_forms(
        comparison,
        "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq "
        "ge gt le logical_and logical_not logical_or logical_xor lt ne",
    ),
    **_inplace_forms(scans, "cumprod cumsum"),
    "clip_": make_inplace("clip_", limits.clamp),
    "copy_": make_inplace("copy_", _copy),
    "zero_": make_inplace("zero_", _make_replacement(_zero)),
    "fill_": make_inplace("fill_", _make_replacement(_fill)),
    **{name: make_inplace(name, _make_replacement(draw)) for name, draw in DRAWS.items()},
}
