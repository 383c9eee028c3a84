"""`dtrain.data` under PyTorch's name (torch.utils.data)."""

from dtrain.data import *  # noqa: F403
