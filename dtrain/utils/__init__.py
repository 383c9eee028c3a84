"""`DataLoader`, `checkpoint` and DLPack under PyTorch's paths (torch.utils)."""

from dtrain.utils import checkpoint as checkpoint, data as data, dlpack as dlpack
