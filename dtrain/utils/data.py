"""`dtrain.data` under PyTorch's name."""

from dtrain.data import *  # noqa: F403
from dtrain.data import __all__ as __all__
