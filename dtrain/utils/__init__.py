"""PyTorch's place for the loader: `dtrain.utils.data`."""

from dtrain.utils import data

__all__ = ["data"]
