"""Floor 2: Tensor, the graph and the backward pass (torch.autograd)."""

from dtrain.autograd.function import Function
from dtrain.autograd.grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from dtrain.autograd.gradient import grad
from dtrain.autograd.tensor import Tensor

__all__ = [
    "Function",
    "Tensor",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
