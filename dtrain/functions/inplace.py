"""In-place forms: the operation, then its result written into the tensor's own memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd import grad_mode
from dtrain.autograd.op import record
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import take_history
from dtrain.backend import array_module
from dtrain.backend.dtypes import category
from dtrain.functions import comparison, elementwise, limits, rounding, scans, special, statistics
from dtrain.functions.creation.base import number_in
from dtrain.functions.sampling import DRAWS
from dtrain.primitives.indexing import require_own_places


def inplace(name: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place form of an operation; records the same gradient."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        value_grad = any(x.requires_grad for x in tensors)
        self._require_writable(name, value_grad)
        source = self
        if grad_mode.is_grad_enabled() and (self.requires_grad or value_grad):
            # The rule may keep what is overwritten here, so it gets a copy.
            source = wrap(self.array.copy())
            source._requires_grad, source._node = self.requires_grad, self._node
        result = operation(source, *args, **kwargs)
        if source is not self and self.requires_grad and not result.requires_grad:
            xp = array_module(result.array)  # what was overwritten has no influence any more
            result = record(name, (source,), result.array, (lambda g: xp.zeros_like(g),))
        _store(name, self, result)
        return self

    method.__name__ = name
    method.__doc__ = f"`{operation.__name__}`, written into this tensor; returns it."
    return method


def _store(name: str, target: Tensor, result: Tensor) -> None:
    if result.shape != target.shape:
        raise RuntimeError(
            f"{name}: output with shape {target.shape} doesn't match the broadcast shape "
            f"{result.shape}"
        )
    if category(result.dtype) > category(target.dtype):
        raise RuntimeError(
            f"{name}: result type {result.dtype} can't be cast to the tensor's {target.dtype}"
        )
    require_own_places(name, target.array)
    target.array[...] = result.array
    target._version[0] += 1
    if result.requires_grad:
        take_history(target, result)


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
    return array_module(self.array).asarray(number_in(value, self.dtype), self.dtype)


def _copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    moved = src.to(device=self.device, dtype=self.dtype)
    return moved if moved.shape == self.shape else moved.expand(self.shape)


def _forms(module: Any, names: str) -> dict[str, Callable[..., Tensor]]:
    return {f"{name}_": inplace(f"{name}_", getattr(module, name)) for name in names.split()}


INPLACE = {
    **_forms(
        elementwise,
        "abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh ceil copysign cos cosh "
        "deg2rad erf erfc erfinv exp exp2 expm1 float_power floor gcd heaviside hypot lcm ldexp "
        "lerp log log10 log1p log2 logit masked_fill mul neg nextafter pow rad2deg reciprocal "
        "relu rsqrt sgn sigmoid sign sin sinc sinh sqrt square sub tan tanh trunc xlogy",
    ),
    **_forms(special, "digamma i0 lgamma mvlgamma"),
    **_forms(statistics, "renorm"),
    "polygamma_": inplace("polygamma_", lambda self, n: special.polygamma(n, self)),
    **_forms(rounding, "div floor_divide fmod frac remainder round true_divide"),
    **_forms(limits, "clamp clamp_max clamp_min nan_to_num"),
    **_forms(
        comparison,
        "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq "
        "ge gt le logical_and logical_not logical_or logical_xor lt ne",
    ),
    **_forms(scans, "cumprod cumsum"),
    "clip_": inplace("clip_", limits.clamp),
    "copy_": inplace("copy_", _copy),
    "zero_": inplace("zero_", _replaced(_zero)),
    "fill_": inplace("fill_", _replaced(_fill)),
    **{name: inplace(name, _replaced(draw)) for name, draw in DRAWS.items()},
}
