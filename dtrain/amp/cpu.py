"""`autocast("cpu")` and `GradScaler("cpu")` under PyTorch's older names (torch.cpu.amp)."""

from __future__ import annotations

from dtrain.amp import autocast_mode, grad_scaler
from dtrain.backend.dtypes import DTypeLike


class autocast(autocast_mode.autocast):
    """`dtrain.autocast` of the CPU, bfloat16 by default (torch.cpu.amp.autocast)."""

    def __init__(self, enabled: bool = True, dtype: DTypeLike = None, cache_enabled: bool = True):
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(grad_scaler.GradScaler):
    """`dtrain.amp.GradScaler` of the CPU (torch.cpu.amp.GradScaler)."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
