"""PyTorch's places for the loader, for recomputing and for DLPack, under the same names."""

from dtrain.utils import checkpoint as checkpoint, data as data, dlpack as dlpack
