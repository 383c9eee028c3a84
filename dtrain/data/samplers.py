"""Samplers: the indices of an epoch's samples, in order (torch.utils.data.Sampler).

The random samplers here draw an order from (seed, epoch) alone: the same on every rank, and the
same again after a resume in the middle of the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import chain, islice
from typing import Any, Generic, TypeVar

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import Generator, initial_seed
from dtrain.backend.random import SAMPLER_STREAM, permutation, philox_bits, random_key, uniform

_T_co = TypeVar("_T_co", covariant=True)


class Sampler(Generic[_T_co]):
    """Base class: a subclass has `__iter__()`, and `__len__()` for `len(loader)`.

    If a subclass has ``set_epoch(epoch)``, the loader calls it before each epoch. All ranks must
    draw the same indices: from the epoch's number, not from a clock or Python's `random`.

    Examples
    --------
    >>> class Backwards(Sampler[int]):
    ...     def __init__(self, data):
    ...         self.size = len(data)
    ...     def __iter__(self):
    ...         return iter(range(self.size - 1, -1, -1))
    ...     def __len__(self):
    ...         return self.size
    >>> from dtrain.data import DataLoader
    >>> list(DataLoader(range(4), batch_size=2, sampler=Backwards(range(4))))
    [tensor([3, 2]), tensor([1, 0])]
    """

    def __iter__(self) -> Iterator[_T_co]:
        raise NotImplementedError(f"{type(self).__name__} must have __iter__()")


class SequentialSampler(Sampler[int]):
    """All samples in the order of the dataset (torch.utils.data.SequentialSampler)."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source: Sized = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)

    def iterate_parts(self) -> Iterator[np.ndarray]:
        """The same indices as arrays."""
        size = len(self.data_source)
        for begin in range(0, size, _PART_SIZE):
            yield np.arange(begin, min(begin + _PART_SIZE, size))


#: indices of one array, where they are not drawn at once
_PART_SIZE = 1 << 20
#: indices that are Python integers at once, which take five times the memory of an array's
_LISTED = 1 << 14


class _RandomOrderSampler(Sampler[int]):
    """Base of the samplers that draw an order for each epoch, from (seed, epoch) alone."""

    def __init__(self, num_samples: int, generator: Generator | None) -> None:
        name = type(self).__name__
        if not isinstance(num_samples, (int, np.integer)) or num_samples < 0:
            raise ValueError(f"{name}: expected num_samples >= 0, got {num_samples!r}")
        self.num_samples: int = int(num_samples)
        self.generator: Generator | None = generator
        self._seed = initial_seed() if generator is None else generator.initial_seed()
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration give the order of `epoch`; the loader calls it."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(
            part[begin : begin + _LISTED].tolist()
            for part in self.iterate_parts()
            for begin in range(0, len(part), _LISTED)
        )

    def iterate_parts(self) -> Iterator[np.ndarray]:
        """The same indices as arrays."""
        epoch, self._epoch = self._epoch, self._epoch + 1  # a new order for the next iteration
        return self._draw_parts(epoch)

    def __len__(self) -> int:
        return self.num_samples

    def _draw_parts(self, epoch: int) -> Iterator[np.ndarray]:
        """The order in parts, of which each is drawn when it is needed."""
        yield self._draw_order(epoch)

    def _draw_order(self, epoch: int) -> np.ndarray:
        raise NotImplementedError

    def _draw_uniform(self, epoch: int, count: int, part: int = 0) -> np.ndarray:
        """`count` float64 numbers in [0, 1)."""
        bits = philox_bits(count, random_key(self._seed % 2**64, SAMPLER_STREAM, 1, part, epoch))
        return uniform(bits, np.dtype(np.float64), count)


class RandomSampler(_RandomOrderSampler):
    """Samples in random order, by default each once (torch.utils.data.RandomSampler).

    Parameters
    ----------
    data_source : the dataset, of which only the length is used
    replacement : draw each sample independently
    num_samples : samples of an epoch; ``len(data_source)`` if None. Without replacement, more
        than that repeats the dataset in a new order.
    generator : its initial seed is used; `initial_seed()` if None

    Examples
    --------
    >>> sampler = RandomSampler(range(4))
    >>> sorted(sampler), list(sampler) == list(sampler)
    ([0, 1, 2, 3], False)
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(len(data_source) if num_samples is None else num_samples, generator)
        if not len(data_source) and self.num_samples:
            raise ValueError(f"RandomSampler: no samples to draw {self.num_samples} from")
        self.data_source: Sized = data_source
        self.replacement: bool = replacement

    def _draw_parts(self, epoch: int) -> Iterator[np.ndarray]:
        size = len(self.data_source)
        # Without replacement a part is a permutation of the dataset.
        part_size = _PART_SIZE if self.replacement else max(size, 1)
        for part, begin in enumerate(range(0, self.num_samples, part_size)):
            count = min(part_size, self.num_samples - begin)
            if self.replacement:
                yield (self._draw_uniform(epoch, count, part) * size).astype(np.int64)
            else:
                yield permutation(self._seed + part, epoch, size)[:count]


class SubsetRandomSampler(_RandomOrderSampler):
    """The samples of `indices` in random order (torch.utils.data.SubsetRandomSampler).

    Examples
    --------
    >>> sorted(SubsetRandomSampler([7, 3, 5]))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        super().__init__(len(indices), generator)
        self.indices: Sequence[int] = indices

    def _draw_order(self, epoch: int) -> np.ndarray:
        return np.asarray(self.indices)[permutation(self._seed, epoch, self.num_samples)]


class WeightedRandomSampler(_RandomOrderSampler):
    """Samples drawn in proportion to their weights (torch.utils.data.WeightedRandomSampler).

    Parameters
    ----------
    weights : (n,) numbers >= 0, one for each sample; need not sum to 1
    num_samples : samples of an epoch
    replacement : draw each sample independently
    generator : its initial seed is used; `initial_seed()` if None

    Examples
    --------
    >>> set(WeightedRandomSampler([0.5, 0, 0.5], 100))
    {0, 2}
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(num_samples, generator)
        values = weights.detach().cpu().numpy() if isinstance(weights, Tensor) else weights
        self.weights: np.ndarray = np.asarray(values, np.float64)
        self.replacement: bool = replacement
        if self.weights.ndim != 1 or not (self.weights >= 0).all() or not self.weights.any():
            raise ValueError(
                "WeightedRandomSampler: expected weights (n,) >= 0, not all of them 0, got "
                f"shape {self.weights.shape}"
            )
        possible = np.count_nonzero(self.weights)
        if not replacement and num_samples > possible:
            raise ValueError(
                f"WeightedRandomSampler: cannot draw {num_samples} samples without replacement: "
                f"{possible} have a weight above 0"
            )

    def _draw_order(self, epoch: int) -> np.ndarray:
        weights = self.weights
        if self.replacement:
            edges = np.cumsum(weights)
            drawn = self._draw_uniform(epoch, self.num_samples) * edges[-1]
            # Rounding may give the last edge itself: the last sample with a weight.
            return np.minimum(np.searchsorted(edges, drawn, "right"), np.flatnonzero(weights)[-1])
        # The order of exponential arrival times with these rates (Efraimidis and Spirakis 2006).
        with np.errstate(divide="ignore"):
            arrivals = -np.log1p(-self._draw_uniform(epoch, len(weights))) / weights
        arrivals[weights == 0] = np.inf
        return np.argsort(arrivals, kind="stable")[: self.num_samples]


class BatchSampler(Sampler[list[int]]):
    """Groups the indices of a sampler into batches (torch.utils.data.BatchSampler).

    As ``DataLoader(batch_sampler=…)`` each batch is one microbatch.

    Parameters
    ----------
    sampler : iterable of indices
    batch_size : indices in a batch
    drop_last : omit the last batch if it has fewer

    Examples
    --------
    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"BatchSampler: batch_size must be >= 1, got {batch_size!r}")
        self.sampler: Iterable[int] = sampler
        self.batch_size: int = batch_size
        self.drop_last: bool = drop_last

    def set_epoch(self, epoch: int) -> None:
        """Call the sampler's own `set_epoch`, if it has one."""
        set_epoch(self.sampler, epoch)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        size: Any = self.sampler
        whole, rest = divmod(len(size), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1


#: the samplers whose indices are always integers, in arrays
_ARRAY_SAMPLERS = (SequentialSampler, RandomSampler, WeightedRandomSampler)


def index_parts(order: Iterable[Any]) -> Iterator[np.ndarray] | None:
    """The indices of one of these samplers as arrays; None for any other iterable.

    A subclass may give other indices by its `__iter__`.

    >>> [part.tolist() for part in index_parts(SequentialSampler(range(3)))]
    [[0, 1, 2]]
    """
    if type(order) not in _ARRAY_SAMPLERS:
        return None
    assert isinstance(order, (SequentialSampler, _RandomOrderSampler))
    return order.iterate_parts()


def set_epoch(sampler: Any, epoch: int) -> None:
    """Call `sampler.set_epoch(epoch)` if it exists, unless the program calls it (`keeps_epoch`)."""
    if hasattr(sampler, "set_epoch") and not getattr(sampler, "keeps_epoch", False):
        sampler.set_epoch(epoch)
