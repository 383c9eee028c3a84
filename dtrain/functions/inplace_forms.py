"""The in-place methods of Tensor that are a function's in-place form, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module
from dtrain.functions import (
    activations,
    arithmetic,
    comparison,
    exponentials,
    indexing,
    limits,
    rounding,
    scans,
    special,
    statistics,
    trigonometry,
)
from dtrain.functions.creation.base import convert_number
from dtrain.functions.inplace import make_inplace
from dtrain.functions.sampling import DRAWS


def _replaced(make: Callable[..., Any]) -> Callable[..., Tensor]:
    """An operation whose result does not depend on the values it replaces."""

    def operation(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        array = make(self, *args, **kwargs)
        array = array.astype(self.dtype, copy=False)
        return wrap(array_module(self.array).broadcast_to(array, self.shape))

    operation.__name__ = make.__name__
    return operation


def _zero(self: Tensor) -> Any:
    return array_module(self.array).zeros((), self.dtype)


def _fill(self: Tensor, value: Any) -> Any:
    return array_module(self.array).asarray(convert_number(value, self.dtype), self.dtype)


def _copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    moved = src.to(device=self.device, dtype=self.dtype)
    return moved if moved.shape == self.shape else moved.expand(self.shape)


def _forms(module: Any, names: str) -> dict[str, Callable[..., Tensor]]:
    return {f"{name}_": make_inplace(f"{name}_", getattr(module, name)) for name in names.split()}


INPLACE = {
    **_forms(activations, "relu sigmoid tanh"),
    **_forms(
        arithmetic,
        "abs add addcdiv addcmul copysign div float_power lerp mul neg pow reciprocal "
        "rsqrt sqrt square sub true_divide",
    ),
    **_forms(exponentials, "exp exp2 expm1 ldexp log log10 log1p log2 logit xlogy"),
    **_forms(limits, "clamp clamp_max clamp_min nan_to_num"),
    **_forms(indexing, "masked_fill"),
    **_forms(
        rounding,
        "ceil floor floor_divide fmod frac gcd heaviside lcm nextafter remainder round "
        "sgn sign trunc",
    ),
    **_forms(special, "digamma erf erfc erfinv i0 lgamma mvlgamma"),
    **_forms(
        trigonometry,
        "acos acosh asin asinh atan atan2 atanh cos cosh deg2rad hypot rad2deg sin sinc sinh tan",
    ),
    **_forms(statistics, "renorm"),
    "polygamma_": make_inplace("polygamma_", lambda self, n: special.polygamma(n, self)),
    **_forms(
        comparison,
        "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq "
        "ge gt le logical_and logical_not logical_or logical_xor lt ne",
    ),
    **_forms(scans, "cumprod cumsum"),
    "clip_": make_inplace("clip_", limits.clamp),
    "copy_": make_inplace("copy_", _copy),
    "zero_": make_inplace("zero_", _replaced(_zero)),
    "fill_": make_inplace("fill_", _replaced(_fill)),
    **{name: make_inplace(name, _replaced(draw)) for name, draw in DRAWS.items()},
}
