"""Which samples each microbatch of each step has: the same on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np

from dtrain.data.sample_check import digest_sample
from dtrain.data.samplers import index_parts
from dtrain.distributed import world
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.errors import DesyncError


class Stream(Protocol):
    """A stream of samples or indices that is read in parts."""

    def skip(self, count: int) -> None:
        """Read `count` samples and forget them."""

    def read(self, count: int) -> list[Any]:
        """The next `count` samples; fewer at the end of the stream."""


class Samples(NamedTuple):
    """The samples of one microbatch: ``source[i] for i in indices``."""

    source: Any
    indices: np.ndarray  # (n,) int64, or object for other indices, such as keys
    start: int = 0  # the position of the source's first sample, where that is a part of a stream

    @property
    def names(self) -> list[Any]:
        """The samples' indices in the dataset, or their positions in the stream."""
        return (self.indices + self.start).tolist() if self.start else self.indices.tolist()


def assign_batches(
    dataset: Any, batches: Iterable[Sequence[Any]], count: int, first: int
) -> Iterator[list[Samples]]:
    """The `count` microbatches of each step, from step `first` on; each is one of `batches`."""
    remaining = islice(batches, first * count, None)
    while step := [as_indices(batch) for batch in islice(remaining, count)]:
        empty = [step[0][:0]] * (count - len(step))
        yield [Samples(dataset, batch) for batch in (*step, *empty)]


def assign_indices(
    dataset: Any, order: Iterable[Any], batch_size: int, count: int, first: int, drop_last: bool
) -> Iterator[list[Samples]]:
    """The microbatches of each step, from step `first` on, with the indices in this order."""
    total = batch_size * count
    for indices in _cut(order, total, first * total):
        if len(indices) == total or not drop_last:
            yield [Samples(dataset, part) for part in split(indices, batch_size, count)]


def _cut(order: Iterable[Any], length: int, start: int) -> Iterator[np.ndarray]:
    """Pieces of `length` indices, the last one shorter, without the first `start` indices."""
    parts = index_parts(order)
    if parts is None:
        remaining = islice(order, start, None)
        while len(indices := as_indices(islice(remaining, length))):
            yield indices
        return
    held = np.empty(0, np.int64)  # of a piece that goes on in the next part
    for part in parts:
        skipped = min(start, len(part))
        start -= skipped
        rest = np.concatenate([held, part[skipped:]]) if len(held) else part[skipped:]
        whole = len(rest) - len(rest) % length
        for begin in range(0, whole, length):
            yield rest[begin : begin + length]
        held = rest[whole:]
    if len(held):
        yield held


def assign_stream(
    stream: Stream, batch_size: int, count: int, first: int, drop_last: bool
) -> Iterator[list[Samples]]:
    """The microbatches of each step of a stream, which every rank reads whole."""
    total = batch_size * count
    start = first * total
    stream.skip(start)
    while samples := stream.read(total):
        if len(samples) == total or not drop_last:
            parts = split(np.arange(len(samples)), batch_size, count)
            yield [Samples(samples, part, start) for part in parts]
        start += total


def assign_own(
    stream: Stream, source: Any, batch_size: int, count: int, first: int, drop_last: bool
) -> Iterator[list[Samples]]:
    """The microbatches of each step if each rank brings samples of its own (`sharded=True`).

    A stream is of samples (`source` is None) or of the indices of `source`. The ranks tell each
    other at each step how many they have read; the epoch ends when none has any. The microbatches
    of other ranks have their sizes here, and no source.
    """
    rank, size = world.rank(), world.world_size()
    ranges = [microbatch_range(r, size, count) for r in range(size)]
    low, high = ranges[rank]
    stream.skip(first * batch_size * (high - low))
    example: list[Any] = []  # a sample that gives a rank without any the shapes of a batch
    while True:
        own = stream.read(batch_size * (high - low))
        offered = []
        if own and not example:  # in the first step, from which on all ranks have one
            offered = own[:1] if source is None else [source[own[0]]]
        told = _tell_sizes(len(own), offered)
        short = any(n < batch_size * (b - a) for (n, _), (a, b) in zip(told, ranges))
        if not any(n for n, _ in told) or (short and drop_last):
            return
        example = example or next(theirs for _, theirs in told if theirs)
        microbatches: list[Samples] = []
        for r, (n, _) in enumerate(told):
            a, b = ranges[r]
            held, indices = example, np.arange(n)
            if r == rank and own:
                held, indices = (own, indices) if source is None else (source, as_indices(own))
            microbatches += [Samples(held, part) for part in split(indices, batch_size, b - a)]
        yield microbatches


def _tell_sizes(size: int, example: list[Any]) -> list[tuple[int, list[Any]]]:
    """Every rank's number of samples, and an example of them where one is offered."""
    return world.communicator().allgather((size, example), "the sizes of a step's own samples")


def split(indices: np.ndarray, batch_size: int, count: int) -> list[np.ndarray]:
    """Split the samples of a step into `count` microbatches; if they are few, the last are empty.

    A microbatch has two samples or more, for BatchNorm needs two, where there are two and
    `batch_size` is not 1: of an odd rest with ``batch_size=2`` one has three.

    >>> [len(part) for part in split(np.arange(7), 4, 4)]
    [3, 2, 2, 0]
    >>> [len(part) for part in split(np.arange(5), 2, 4)]
    [3, 2, 0, 0]
    """
    n = len(indices)
    if n == batch_size * count:
        return [indices[begin : begin + batch_size] for begin in range(0, n, batch_size)]
    filled = min(count, max(-(-n // batch_size), n // 2))
    if batch_size > 1 and n // max(filled, 1) < 2:
        filled = n // 2
    filled = max(filled, 1)
    return [*np.array_split(indices, filled), *[indices[:0]] * (count - filled)]


def as_indices(indices: Iterable[Any]) -> np.ndarray:
    """Indices as an array: of int64 for integers, of objects for anything else.

    >>> as_indices([3, 1]), as_indices(["a", ("b", 2)])
    (array([3, 1]), array(['a', ('b', 2)], dtype=object))
    """
    listed = list(indices) if not isinstance(indices, np.ndarray) else indices
    if all(isinstance(index, (int, np.integer)) for index in listed):
        return np.array(listed, np.int64)
    array = np.empty(len(listed), object)
    for position, index in enumerate(listed):
        array[position] = index.item() if getattr(index, "ndim", None) == 0 else index
    return array


def check_same_samples(steps: Iterator[list[Samples]]) -> Iterator[list[Samples]]:
    """The same steps, after the ranks have compared the samples of the first."""
    first = next(steps, None)
    told = world.communicator().allgather(_digest(first), "the samples of a loader's first step")
    others = [rank for rank, digest in enumerate(told) if digest != told[0]]
    if others:
        raise DesyncError(
            f"DataLoader: ranks {others} bring other samples than rank 0, but the loader shards "
            "the data itself, and would use a part of them. If the stream or sampler is sharded "
            "by rank already: DataLoader(..., sharded=True). Otherwise give every rank the same "
            "order: sort file lists, seed what is drawn"
        )
    if first is not None:
        yield first
    yield from steps


def _digest(step: list[Samples] | None) -> bytes:
    """A digest of a step's indices, or of the samples that a stream has brought."""
    return digest_sample(
        [
            [source[i] for i in indices] if isinstance(source, list) else indices.tolist()
            for source, indices, _ in step or ()
        ]
    )
