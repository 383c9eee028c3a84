"""PyTorch's places for the loader and for recomputing: `dtrain.utils.data`, `.checkpoint`."""

from dtrain.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
