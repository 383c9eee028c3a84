"""Datasets, samplers and the loader (torch.utils.data)."""

from dtrain.data.collate import (
    default_collate as default_collate,
    default_convert as default_convert,
)
from dtrain.data.dataset import (
    ChainDataset as ChainDataset,
    ConcatDataset as ConcatDataset,
    Dataset as Dataset,
    IterableDataset as IterableDataset,
    StackDataset as StackDataset,
    Subset as Subset,
    TensorDataset as TensorDataset,
    random_split as random_split,
)
from dtrain.data.distributed_sampler import DistributedSampler as DistributedSampler
from dtrain.data.idx import read_idx as read_idx, read_idx_folder as read_idx_folder
from dtrain.data.loader import DataLoader as DataLoader
from dtrain.data.samplers import (
    BatchSampler as BatchSampler,
    RandomSampler as RandomSampler,
    Sampler as Sampler,
    SequentialSampler as SequentialSampler,
    SubsetRandomSampler as SubsetRandomSampler,
    WeightedRandomSampler as WeightedRandomSampler,
)
from dtrain.data.workers.info import get_worker_info as get_worker_info
