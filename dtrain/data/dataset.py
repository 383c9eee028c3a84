"""Datasets: samples by index (torch.utils.data.Dataset)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor


class Dataset:
    """Samples by index: a subclass has `__getitem__(index)` and `__len__()`.

    A subclass may also have `__getitems__(indices)`, which returns a whole batch's samples.
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must have __getitem__(index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must have __len__()")


class TensorDataset(Dataset):
    """Samples that are the rows of tensors of one length (torch.utils.data.TensorDataset).

    >>> import dtrain
    >>> TensorDataset(dtrain.arange(3), dtrain.arange(3) * 10)[1]
    (tensor(1), tensor(10))
    """

    def __init__(self, *tensors: Tensor):
        lengths = [len(t) for t in tensors]
        if not tensors or len(set(lengths)) > 1:
            raise ValueError(
                f"TensorDataset: expected tensors of one length, got lengths {lengths}"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """Some of a dataset's samples, by their indices (torch.utils.data.Subset)."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)
