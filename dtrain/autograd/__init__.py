"""Floor 2: Tensor, the graph and the backward pass (torch.autograd)."""

from dtrain.autograd.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from dtrain.autograd.display import set_printoptions
from dtrain.autograd.function import Function
from dtrain.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from dtrain.autograd.gradcheck import gradcheck, gradgradcheck
from dtrain.autograd.gradient import backward, grad
from dtrain.autograd.tensor import Tensor

__all__ = [
    "Function",
    "Tensor",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_printoptions",
]
