"""PyTorch's signatures of quotients, whole or not, what they leave, and rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions.operands import floating, pair, scalar_like
from dtrain.primitives import arithmetic, rounding


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, rounded to "floor", or "trunc" towards zero, if so wished (torch.div).

    Without rounding integers give the default dtype.
    """
    if rounding_mode is not None:
        return _rounded(input, other, rounding_mode)
    x, y = pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    if not is_floating(tensor.dtype):
        x, y = (floating(v) if isinstance(v, Tensor) else v for v in (x, y))
    return arithmetic.div(x, y)


def true_divide(input: Any, other: Any) -> Tensor:
    """input / other (torch.true_divide)."""
    return div(input, other)


def _rounded(input: Any, other: Any, rounding_mode: str) -> Tensor:
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div: expected rounding_mode None, 'floor' or 'trunc', got {rounding_mode!r}"
        )
    x, y = _whole_pair("div", input, other)
    x, y = (
        x if isinstance(x, Tensor) else scalar_like(x, y),
        y if isinstance(y, Tensor) else scalar_like(y, x),
    )
    return rounding.floor_divide(x, y) if rounding_mode == "floor" else rounding.trunc_divide(x, y)


def _whole_pair(name: str, input: Any, other: Any) -> tuple[Any, Any]:
    """Both operands in their common dtype; an integer divisor on the host is refused if 0."""
    x, y = pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    if tensor.dtype == "bool":
        raise NotImplementedError(f"{name}: expected numbers, got dtype bool")
    if not is_floating(tensor.dtype):
        divisor = y.array if isinstance(y, Tensor) else y
        if isinstance(divisor, (int, np.ndarray)) and not np.all(divisor):
            raise RuntimeError(f"{name}: ZeroDivisionError: an integer is divided by 0")
    return x, y


def floor_divide(input: Any, other: Any) -> Tensor:
    """floor(input / other) (torch.floor_divide)."""
    return rounding.floor_divide(*_whole_pair("floor_divide", input, other))


def remainder(input: Any, other: Any) -> Tensor:
    """What floor division leaves, of the sign of `other` (torch.remainder)."""
    return rounding.remainder(*_whole_pair("remainder", input, other))


def fmod(input: Any, other: Any) -> Tensor:
    """What division towards zero leaves, of the sign of `input` (torch.fmod)."""
    return rounding.fmod(*_whole_pair("fmod", input, other))


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest multiple of 10 ** -decimals, halves to even (torch.round)."""
    if decimals and not is_floating(input.dtype):
        raise NotImplementedError(f"round: decimals expect a floating dtype, got {input.dtype}")
    return rounding.round(input, decimals=decimals)


def frac(input: Tensor) -> Tensor:
    """input without its integer part (torch.frac)."""
    if not is_floating(input.dtype):
        raise NotImplementedError(f"frac: expected a floating dtype, got {input.dtype}")
    return rounding.frac(input)
