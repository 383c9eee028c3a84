"""`custom_fwd` and `custom_bwd`: how an `autograd.Function` behaves under autocast."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.amp.autocast_mode import autocast, get_autocast_dtype, is_autocast_enabled
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import DTypeLike
from dtrain.backend.nested import map_nested
from dtrain.functions.autocast import is_eligible
from dtrain.functions.operands import to

_Method = Callable[..., Any]


def custom_fwd(
    fwd: _Method | None = None, *, device_type: str, cast_inputs: DTypeLike = None
) -> Any:
    """Decorate `forward` of a Function (torch.amp.custom_fwd).

    With `cast_inputs` floating inputs are converted to it under autocast, which is off inside.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        enabled = is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = enabled and cast_inputs is None
        if cast_inputs is None or not enabled:
            return fwd(ctx, *args, **kwargs)
        dtype = np.dtype(cast_inputs)

        def cast(tensor: Tensor) -> Tensor:
            return to(tensor, dtype) if is_eligible(tensor, device_type) else tensor

        with autocast(device_type, enabled=False):
            return fwd(ctx, *map_nested(args, Tensor, cast), **map_nested(kwargs, Tensor, cast))

    return forward


def custom_bwd(bwd: _Method | None = None, *, device_type: str) -> Any:
    """Decorate `backward` of a Function whose `forward` has `custom_fwd`: it runs in the settings
    of autocast that `forward` had (torch.amp.custom_bwd).
    """
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *grads: Any) -> Any:
        with autocast(device_type, dtype=ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(ctx, *grads)

    return backward
