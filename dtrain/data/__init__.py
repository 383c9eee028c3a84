"""Floor 4: datasets and the loader (torch.utils.data)."""

from dtrain.data.collate import default_collate
from dtrain.data.dataset import Dataset, Subset, TensorDataset
from dtrain.data.idx import read_idx, read_idx_folder
from dtrain.data.loader import DataLoader

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "read_idx",
    "read_idx_folder",
]
