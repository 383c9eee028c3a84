"""PyTorch's places for the loader, for recomputing and for DLPack, under the same names."""

from dtrain.utils import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
