"""PyTorch's signatures of limits."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import (
    finfo,
    is_inexact,
)
from dtrain.functions.elementwise import TensorBinaryFunction, binary, tensors_only
from dtrain.functions.operands import (
    Number,
    promote_pair,
    result_dtype,
    to,
)
from dtrain.primitives import casts, limits as primitives


def clamp(
    input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None
) -> Tensor:
    """input limited to [min, max] (torch.clamp); limits are numbers or tensors."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    if isinstance(min, Tensor) and isinstance(max, Tensor):
        x, low = promote_pair(input, min)
        x, high = promote_pair(x, max)
        return primitives.clamp_between(x, to(low, x.dtype), high)
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        input = input if min is None else primitives.clamp_min(*promote_pair(input, min))
        return input if max is None else primitives.clamp_max(*promote_pair(input, max))
    for limit in (min, max):
        if limit is not None:
            input = to(input, result_dtype(input, limit))
    limits: Any = {"min": min, "max": max}  # a complex one made the input complex: refused
    return primitives.clamp(input, **limits)


def clamp_min(input: Tensor, min: Tensor | Number) -> Tensor:
    """input, at least `min` (torch.clamp_min)."""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Tensor | Number) -> Tensor:
    """input, at most `max` (torch.clamp_max)."""
    return clamp(input, max=max)


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """Numbers in place of NaN, 0, and the infinities, the dtype's limits (torch.nan_to_num)."""
    if not is_inexact(input.dtype):
        return casts.clone(input)
    info = finfo(input.dtype)
    return primitives.nan_to_num(
        input,
        nan=0.0 if nan is None else nan,
        posinf=info.max if posinf is None else posinf,
        neginf=info.min if neginf is None else neginf,
    )


maximum: TensorBinaryFunction = tensors_only(binary(primitives.maximum))


minimum: TensorBinaryFunction = tensors_only(binary(primitives.minimum))


fmax: TensorBinaryFunction = tensors_only(binary(primitives.fmax))


fmin: TensorBinaryFunction = tensors_only(binary(primitives.fmin))
