"""Datasets: samples by index (torch.utils.data.Dataset)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Generic, TypeVar

from dtrain.autograd import Tensor
from dtrain.backend import Generator
from dtrain.functions.creation.random import randperm

_T = TypeVar("_T")


class Dataset(Generic[_T]):
    """Samples by index: a subclass has `__getitem__(index)` and `__len__()`.

    A subclass may also have `__getitems__(indices)`, which returns a whole batch's samples.
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must have __getitem__(index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must have __len__()")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Samples as they come: a subclass has `__iter__()` (torch.utils.data.IterableDataset).

    Every rank reads the whole stream, which must be the same on all, and keeps its own part.

    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(ChainDataset([Countdown(), Countdown()]))
    [3, 2, 1, 3, 2, 1]
    """

    def __getitem__(self, index: int) -> Any:
        raise TypeError(f"{type(self).__name__} has no samples by index: iterate over it")

    def __len__(self) -> int:
        raise TypeError(f"object of type {type(self).__name__!r} has no len()")

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must have __iter__()")

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """Streams one after another (torch.utils.data.ChainDataset)."""

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


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


class ConcatDataset(Dataset):
    """Datasets one after another (torch.utils.data.ConcatDataset).

    >>> ConcatDataset([["a", "b"], ["c"]])[2]
    'c'
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected datasets, got none")
        #: where each dataset ends
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> Any:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"ConcatDataset: index {index} of {size} samples")
        index %= size
        place = bisect_right(self.cumulative_sizes, index)
        return self.datasets[place][index - (self.cumulative_sizes[place - 1] if place else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class StackDataset(Dataset):
    """Samples of several datasets side by side, as a tuple or by names
    (torch.utils.data.StackDataset).

    >>> StackDataset(image=[10, 11], label=["a", "b"])[1]
    {'image': 11, 'label': 'b'}
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: expected datasets, all with names or all without")
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in (args or kwargs.values())]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"StackDataset: expected datasets of one length, got lengths {lengths}"
            )
        self._length = lengths[0]

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Deal samples at random to parts of these lengths, or fractions
    (torch.utils.data.random_split).

    The parts are the same on every rank.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        if not all(0 <= part <= 1 for part in lengths):
            raise ValueError(f"random_split: expected fractions from 0 to 1, got {list(lengths)}")
        sizes = [math.floor(total * part) for part in lengths]
        for turn in range(total - sum(sizes)):  # what is left goes around
            sizes[turn % len(sizes)] += 1
    else:
        sizes = [int(part) for part in lengths]
    if sum(sizes) != total:
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset: "
            f"random_split got {list(lengths)} for {total} samples"
        )
    order = randperm(total, generator=generator).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends)]
