"""PyTorch's paths torch.utils: `DataLoader`, `checkpoint`, DLPack, TensorBoard."""

from dtrain.utils import (
    checkpoint as checkpoint,
    data as data,
    dlpack as dlpack,
    tensorboard as tensorboard,
)
