"""`autocast("cuda")` and `GradScaler("cuda")` under PyTorch's older names (torch.cuda.amp)."""

from __future__ import annotations

import functools
from typing import Any

from dtrain.amp import autocast_mode, custom_function, grad_scaler
from dtrain.backend.dtypes import DTypeLike, float16


class autocast(autocast_mode.autocast):
    """`dtrain.autocast` of GPUs, float16 by default (torch.cuda.amp.autocast)."""

    def __init__(
        self, enabled: bool = True, dtype: DTypeLike = float16, cache_enabled: bool = True
    ):
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(grad_scaler.GradScaler):
    """`dtrain.amp.GradScaler` of GPUs (torch.cuda.amp.GradScaler)."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )


def custom_fwd(fwd: Any = None, *, cast_inputs: DTypeLike = None) -> Any:
    """`dtrain.amp.custom_fwd` with device_type="cuda" (torch.cuda.amp.custom_fwd)."""
    return custom_function.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


custom_bwd = functools.partial(custom_function.custom_bwd, device_type="cuda")
