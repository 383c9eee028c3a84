"""Gradients clipped, sequences packed (torch.nn.utils)."""

from dtrain.nn.utils import rnn
from dtrain.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]
