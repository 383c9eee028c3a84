"""Functions composed of several operations compute halves in float32, and round once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import float32, is_floating, is_half, promote
from dtrain.functions.operands import to

F = TypeVar("F", bound=Callable[..., Any])


@overload
def in_float32(function: F) -> F: ...


@overload
def in_float32(*, on_device: bool = True, like_first: bool = False) -> Callable[[F], F]: ...


def in_float32(function: Any = None, *, on_device: bool = True, like_first: bool = False) -> Any:
    """Decorate a function: float16 and bfloat16 arguments are converted to float32, and its
    float32 outputs to the dtype that the arguments promote to.

    A single operation does so itself; between the operations of `function`, too, a sum or a
    square may exceed what a half can hold. Tensors in lists are left as they are. Without
    `on_device` CUDA tensors are left as they are, too: products of halves are fast there, and
    are added in float32. With `like_first` the first tensor alone says the dtype of the output.
    """
    if function is None:
        return functools.partial(in_float32, on_device=on_device, like_first=like_first)

    @functools.wraps(function)
    def widened(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()) if kwargs else args:
            if (
                isinstance(value, Tensor)
                and is_half(value.dtype)
                and (on_device or not value.is_cuda)
            ):
                break
        else:
            return function(*args, **kwargs)
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        floats = [v for v in given if is_floating(v.dtype)]
        full = [v for v in floats if v.ndim]
        deciding = given[:1] if like_first else full or floats
        half = functools.reduce(promote, (v.dtype for v in deciding))
        if not is_half(half):
            return function(*args, **kwargs)
        out = function(*map(_widen, args), **{name: _widen(v) for name, v in kwargs.items()})
        if isinstance(out, tuple):
            rounded = [_round(value, half) for value in out]
            return out._make(rounded) if hasattr(out, "_make") else tuple(rounded)
        return _round(out, half)

    return widened


def _widen(value: Any) -> Any:
    if isinstance(value, Tensor) and is_half(value.dtype):
        return to(value, float32)
    return value


def _round(value: Any, half: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype == float32:
        return to(value, half)
    return value
