"""Samplers: which samples an epoch has, and in which order (torch.utils.data.Sampler).

A sampler of this file that draws gives an order that is a function of its seed and the epoch
alone: the same on every rank, and again after a resume in the middle of the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import Generator, initial_seed
from dtrain.backend.random import SAMPLER_STREAM, permutation, philox_bits, uniform

_T = TypeVar("_T")


class Sampler(Generic[_T]):
    """Indices of samples: a subclass has `__iter__()`, and `__len__()` for the loader.

    The loader calls `set_epoch(epoch)` before each epoch where there is one. All ranks must get
    the same indices: draw them from the epoch's number, not from a clock or Python's `random`.
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must have __iter__()")


class SequentialSampler(Sampler):
    """All samples in their own order (torch.utils.data.SequentialSampler)."""

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _Drawn(Sampler):
    """What samplers that draw share: an order for each epoch, by (seed, epoch) alone."""

    def __init__(self, num_samples: Any, generator: Generator | None):
        name = type(self).__name__
        if not isinstance(num_samples, (int, np.integer)) or num_samples < 0:
            raise ValueError(f"{name}: expected num_samples >= 0, got {num_samples!r}")
        self.num_samples, self.generator = int(num_samples), generator
        self._seed = initial_seed() if generator is None else generator.initial_seed()
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch when it is asked next."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        epoch, self._epoch = self._epoch, self._epoch + 1  # without a loader: another each time
        return iter(self._order(epoch).tolist())

    def __len__(self) -> int:
        return self.num_samples

    def _order(self, epoch: int) -> np.ndarray:
        raise NotImplementedError

    def _uniform(self, epoch: int, count: int) -> np.ndarray:
        """Numbers in [0, 1)."""
        bits = philox_bits(np, count, (self._seed % 2**64, SAMPLER_STREAM), (1, 0, epoch))
        return uniform(bits, np.dtype(np.float64), count)


class RandomSampler(_Drawn):
    """Samples drawn at random, by default each once (torch.utils.data.RandomSampler).

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
    ):
        super().__init__(len(data_source) if num_samples is None else num_samples, generator)
        if not len(data_source) and self.num_samples:
            raise ValueError(f"RandomSampler: no samples to draw {self.num_samples} from")
        self.data_source, self.replacement = data_source, replacement

    def _order(self, epoch: int) -> np.ndarray:
        count, size = self.num_samples, len(self.data_source)
        if self.replacement:
            return (self._uniform(epoch, count) * size).astype(np.int64)
        rounds = range(-(-count // max(size, 1)))  # more than there are: all of them, again
        orders = [permutation(self._seed + turn, epoch, size) for turn in rounds]
        return np.concatenate([np.zeros(0, np.int64), *orders])[:count]


class SubsetRandomSampler(_Drawn):
    """Some samples, by their indices, in a random order (torch.utils.data.SubsetRandomSampler)."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        super().__init__(len(indices), generator)
        self.indices = indices

    def _order(self, epoch: int) -> np.ndarray:
        return np.asarray(self.indices)[permutation(self._seed, epoch, self.num_samples)]


class WeightedRandomSampler(_Drawn):
    """Samples drawn in proportion to their weights (torch.utils.data.WeightedRandomSampler).

    >>> set(WeightedRandomSampler([0.5, 0, 0.5], 100))
    {0, 2}
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ):
        super().__init__(num_samples, generator)
        values = weights.detach().cpu().numpy() if isinstance(weights, Tensor) else weights
        self.weights, self.replacement = np.asarray(values, np.float64), replacement
        if self.weights.ndim != 1 or not (self.weights >= 0).all() or not self.weights.any():
            raise ValueError(
                "WeightedRandomSampler: expected weights (n,) >= 0, not all of them 0, got "
                f"shape {self.weights.shape}"
            )
        possible = np.count_nonzero(self.weights)
        if not replacement and num_samples > possible:
            raise ValueError(
                f"WeightedRandomSampler: {num_samples} samples without replacement of {possible} "
                "with a weight"
            )

    def _order(self, epoch: int) -> np.ndarray:
        weights = self.weights
        if self.replacement:
            edges = np.cumsum(weights)
            drawn = self._uniform(epoch, self.num_samples) * edges[-1]
            # rounding may reach the last edge: that is still the last sample with a weight
            return np.minimum(np.searchsorted(edges, drawn, "right"), np.flatnonzero(weights)[-1])
        # the first arrivals of processes with these rates (Efraimidis and Spirakis 2006)
        with np.errstate(divide="ignore"):
            arrivals = -np.log1p(-self._uniform(epoch, len(weights))) / weights
        arrivals[weights == 0] = np.inf
        return np.argsort(arrivals, kind="stable")[: self.num_samples]


class BatchSampler(Sampler):
    """The indices of a sampler in batches (torch.utils.data.BatchSampler).

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"BatchSampler: batch_size must be >= 1, got {batch_size!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def set_epoch(self, epoch: int) -> None:
        """Hand the epoch on to the sampler."""
        begin_epoch(self.sampler, epoch)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        size: Any = self.sampler
        whole, rest = divmod(len(size), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1


def begin_epoch(sampler: Any, epoch: int) -> None:
    """Tell a sampler which epoch begins, if it asks for that."""
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)
