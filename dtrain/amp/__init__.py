"""Automatic mixed precision (torch.amp): autocast, and gradients that are scaled for float16."""

from dtrain.amp.autocast_mode import (
    autocast as autocast,
    is_autocast_available as is_autocast_available,
)
from dtrain.amp.custom_function import custom_bwd as custom_bwd, custom_fwd as custom_fwd
from dtrain.amp.grad_scaler import GradScaler as GradScaler
