"""Datasets: samples by index, or as a stream (torch.utils.data.Dataset)."""

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
_T_co = TypeVar("_T_co", covariant=True)


class Dataset(Generic[_T_co]):
    """Base class of datasets: a subclass has `__getitem__(index)` and `__len__()`.

    If a subclass has ``__getitems__(indices)``, the loader calls it for a whole batch: it returns
    a list of samples. Any sequence serves as a dataset, too (torch.utils.data.Dataset).

    Examples
    --------
    >>> from dtrain.data import DataLoader
    >>> class Squares(Dataset[int]):
    ...     def __getitem__(self, index):
    ...         return index * index
    ...     def __len__(self):
    ...         return 3
    >>> list(DataLoader(Squares(), batch_size=2))
    [tensor([0, 1]), tensor([4])]
    """

    def __getitem__(self, index: int) -> _T_co:
        raise NotImplementedError(f"{type(self).__name__} must have __getitem__(index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must have __len__()")

    def __add__(self, other: Dataset[_T]) -> ConcatDataset[_T_co | _T]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[_T_co]):
    """Base class of streams: a subclass has `__iter__()` (torch.utils.data.IterableDataset).

    Every rank reads the whole stream, which must be the same on all ranks, and keeps the samples
    of its own microbatches. A resume in the middle of an epoch reads and skips the samples before.

    Examples
    --------
    >>> class Countdown(IterableDataset[int]):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(ChainDataset([Countdown(), Countdown()]))
    [3, 2, 1, 3, 2, 1]
    """

    def __getitem__(self, index: int) -> _T_co:
        raise TypeError(f"{type(self).__name__} is a stream without indices: iterate over it")

    def __len__(self) -> int:
        raise TypeError(f"object of type {type(self).__name__!r} has no len()")

    def __iter__(self) -> Iterator[_T_co]:
        raise NotImplementedError(f"{type(self).__name__} must have __iter__()")

    def __add__(self, other: Iterable[_T]) -> ChainDataset[_T_co | _T]:  # type: ignore[override]
        return ChainDataset([self, other])


class ChainDataset(IterableDataset[_T_co]):
    """Concatenated streams (torch.utils.data.ChainDataset)."""

    def __init__(self, datasets: Iterable[Iterable[_T_co]]) -> None:
        self.datasets: list[Iterable[_T_co]] = list(datasets)

    def __iter__(self) -> Iterator[_T_co]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        sized: Any = self.datasets
        return sum(len(dataset) for dataset in sized)


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples that are rows of tensors (torch.utils.data.TensorDataset).

    The loader takes the rows of a whole batch in one indexing operation.

    Parameters
    ----------
    *tensors : each (n, ...), on any device

    Examples
    --------
    >>> import dtrain
    >>> TensorDataset(dtrain.arange(3), dtrain.arange(3) * 10)[1]
    (tensor(1), tensor(10))
    """

    def __init__(self, *tensors: Tensor) -> None:
        lengths = [len(t) for t in tensors]
        if not tensors or len(set(lengths)) > 1:
            raise ValueError(
                f"TensorDataset: expected tensors of one length, got lengths {lengths}"
            )
        self.tensors: tuple[Tensor, ...] = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset[_T_co]):
    """The samples of a dataset at some indices (torch.utils.data.Subset).

    Examples
    --------
    >>> Subset("abcd", [3, 0])[0]
    'd'
    """

    def __init__(self, dataset: Dataset[_T_co] | Sequence[_T_co], indices: Sequence[int]) -> None:
        self.dataset: Dataset[_T_co] | Sequence[_T_co] = dataset
        self.indices: Sequence[int] = indices

    def __getitem__(self, index: int) -> _T_co:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[_T_co]):
    """Concatenated datasets (torch.utils.data.ConcatDataset).

    Examples
    --------
    >>> ConcatDataset([["a", "b"], ["c"]])[2]
    'c'
    """

    def __init__(self, datasets: Iterable[Dataset[_T_co] | Sequence[_T_co]]) -> None:
        self.datasets: list[Dataset[_T_co] | Sequence[_T_co]] = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected datasets, got none")
        #: for each dataset, the number of samples up to its end
        self.cumulative_sizes: list[int] = list(
            accumulate(len(dataset) for dataset in self.datasets)
        )

    def __getitem__(self, index: int) -> _T_co:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {size} samples")
        index %= size
        number = bisect_right(self.cumulative_sizes, index)
        return self.datasets[number][index - (self.cumulative_sizes[number - 1] if number else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class StackDataset(Dataset[Any]):
    """Zipped datasets: samples are tuples, or dicts by keyword (torch.utils.data.StackDataset).

    Examples
    --------
    >>> StackDataset(image=[10, 11], label=["a", "b"])[1]
    {'image': 11, 'label': 'b'}
    """

    def __init__(
        self, *args: Dataset[Any] | Sequence[Any], **kwargs: Dataset[Any] | Sequence[Any]
    ) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError(
                "StackDataset: expected datasets, either all positional or all by keyword"
            )
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
    dataset: Dataset[_T] | Sequence[_T],
    lengths: Sequence[float],
    generator: Generator | None = None,
) -> list[Subset[_T]]:
    """Split a dataset at random into parts (torch.utils.data.random_split).

    The parts are the same on every rank if the generators' states are.

    Parameters
    ----------
    dataset : dataset with a length, or sequence
    lengths : the number of samples of each part, or fractions that sum to 1
    generator : draws the permutation; the default generator if None

    Raises
    ------
    ValueError
        If the lengths do not sum to the dataset's, or fractions lie outside [0, 1].

    Examples
    --------
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        if not all(0 <= part <= 1 for part in lengths):
            raise ValueError(f"random_split: expected fractions from 0 to 1, got {list(lengths)}")
        sizes = [math.floor(total * part) for part in lengths]
        for extra in range(total - sum(sizes)):  # rounded off: one each to the first parts
            sizes[extra % len(sizes)] += 1
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
