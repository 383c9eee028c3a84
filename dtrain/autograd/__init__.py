"""Tensor, the graph and the backward pass (torch.autograd)."""

from dtrain.autograd.anomaly import (
    detect_anomaly as detect_anomaly,
    is_anomaly_enabled as is_anomaly_enabled,
    set_detect_anomaly as set_detect_anomaly,
)
from dtrain.autograd.display import set_printoptions as set_printoptions
from dtrain.autograd.function import Function as Function
from dtrain.autograd.grad_mode import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    is_inference_mode_enabled as is_inference_mode_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from dtrain.autograd.gradcheck import gradcheck as gradcheck, gradgradcheck as gradgradcheck
from dtrain.autograd.gradient import backward as backward, grad as grad
from dtrain.autograd.tensor import Tensor as Tensor
from dtrain.autograd.variable import Variable as Variable
