"""`DataLoader`: each rank's batches, in an order that does not depend on the number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from dtrain.backend import Generator, initial_seed
from dtrain.backend.profiler import span
from dtrain.data.collate import default_collate
from dtrain.data.dataset import Dataset, IterableDataset, TensorDataset
from dtrain.data.samplers import RandomSampler, SequentialSampler, set_epoch
from dtrain.distributed import world
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.distributed.step import Microbatch, Step, begin_step, end_step, microbatch_scope
from dtrain.functions.creation import from_numpy

if TYPE_CHECKING:
    from typing_extensions import Unpack


class WorkerOptions(TypedDict, total=False):
    """PyTorch's options for worker processes: accepted, and without effect.

    A rank loads in its own process; the batches are the same.
    """

    in_order: bool
    multiprocessing_context: Any
    num_workers: int
    persistent_workers: bool
    pin_memory: bool
    pin_memory_device: str
    prefetch_factor: int | None
    timeout: float
    worker_init_fn: Callable[[int], None] | None


class _Samples(NamedTuple):
    """The samples of one microbatch: ``source[i] for i in indices``."""

    source: Any
    indices: np.ndarray  # (n,) int64


class DataLoader:
    """Iterates over this rank's batches of a dataset (torch.utils.data.DataLoader).

    An optimizer step has `microbatches` microbatches of `batch_size` samples each; a rank gets a
    contiguous range of them. Which samples a microbatch has depends on the arguments and the
    epoch, never on the number of ranks. The last step of an epoch has the remaining samples,
    split evenly into microbatches of two or more (BatchNorm needs two); the other microbatches
    are empty, and a rank that has only empty ones gets one batch of 0 samples.

    There are two loops. ``for x, y in loader`` gives one microbatch a step, for as many
    microbatches as ranks. ``for step in loader.steps(): for x, y in step`` is the general one.

    Unlike PyTorch's, the loader shards the data itself: there is no DistributedSampler, and no
    ``sampler.set_epoch`` to call.

    Parameters
    ----------
    dataset : Dataset, IterableDataset, or any sequence of samples
    batch_size : samples of one microbatch, i.e. of one forward pass
    shuffle : draw a new order for each epoch, from (seed, epoch) alone
    sampler : iterable of an epoch's sample indices, in place of `shuffle` (see `Sampler`)
    batch_sampler : iterable of the indices of each microbatch, in place of `batch_size`,
        `shuffle`, `sampler` and `drop_last`
    seed : the seed of `shuffle`; `initial_seed()` if None
    drop_last : omit the last step of an epoch if it has fewer samples
    microbatches : microbatches of a step over all ranks, at least as many as ranks; the number
        of ranks if None. Fix it for results that do not depend on the number of ranks.
    collate_fn : makes a batch of a list of samples; `default_collate` if None
    generator : its initial seed is taken for `seed`
    **workers : PyTorch's options for worker processes, such as `num_workers` and `pin_memory`;
        accepted, without effect

    Attributes
    ----------
    epoch : int
        The current epoch, or the next one between epochs; counts from 0.

    Raises
    ------
    ValueError
        If an option is out of range, two options contradict each other, or there are more ranks
        than microbatches.

    Examples
    --------
    >>> import dtrain
    >>> data = TensorDataset(dtrain.arange(5))
    >>> [x.tolist() for (x,) in DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    >>> loader = DataLoader(data, batch_size=2, microbatches=2)
    >>> [[x.tolist() for (x,) in step] for step in loader.steps()]
    [[[0, 1], [2, 3]], [[4]]]
    """

    def __init__(
        self,
        dataset: Dataset[Any] | Sequence[Any],
        batch_size: int = 1,
        shuffle: bool | None = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        *,
        seed: int | None = None,
        drop_last: bool = False,
        microbatches: int | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        generator: Generator | None = None,
        **workers: Unpack[WorkerOptions],
    ) -> None:
        for name, value in (("batch_size", batch_size), ("microbatches", microbatches)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"DataLoader: {name} must be >= 1, got {value!r}")
        for name in workers:
            if name not in WorkerOptions.__annotations__:
                raise TypeError(f"DataLoader: unexpected argument {name!r}")
        size = world.world_size()
        if microbatches is not None and microbatches < size:
            raise ValueError(
                f"DataLoader: microbatches must be >= the number of ranks, got microbatches="
                f"{microbatches} on {size} ranks: start at most {microbatches} ranks, or raise "
                "microbatches"
            )
        in_batches = batch_sampler is not None
        _check_order(dataset, shuffle, sampler, in_batches, batch_size != 1 or drop_last)
        if seed is None:
            seed = initial_seed() if generator is None else generator.initial_seed()
        self.dataset: Dataset[Any] | Sequence[Any] = dataset
        self.batch_size: int = batch_size
        self.shuffle: bool = bool(shuffle)
        self.seed: int = seed
        self.drop_last: bool = drop_last
        self.microbatches: int = size if microbatches is None else microbatches
        self.collate_fn: Callable[[list[Any]], Any] | None = collate_fn
        if sampler is None and not in_batches and not isinstance(dataset, IterableDataset):
            if shuffle:
                sampler = RandomSampler(dataset, generator=Generator(seed))
            else:
                sampler = SequentialSampler(dataset)
        self.sampler: Iterable[int] | None = sampler
        self.batch_sampler: Iterable[Sequence[int]] | None = batch_sampler
        self.epoch: int = 0
        self._next_step = 0  # within the epoch
        self._left_early = False  # whether the last loop was left by a break
        self._steps_before = 0  # steps of a stream's earlier epochs

    def __len__(self) -> int:
        """The number of optimizer steps in an epoch."""
        if self.batch_sampler is not None:
            batches: Any = self.batch_sampler
            return -(-len(batches) // self.microbatches)
        whole, rest = divmod(self._count_samples(), self.batch_size * self.microbatches)
        return whole if self.drop_last or not rest else whole + 1

    def _count_samples(self) -> int:
        """The number of samples in an epoch."""
        source: Any = self.dataset if self.sampler is None else self.sampler
        return len(source)

    def __iter__(self) -> Iterator[Any]:
        rank, size = world.rank(), world.world_size()
        if self.microbatches != size:
            raise RuntimeError(
                f"DataLoader: with {self.microbatches} microbatches on {size} ranks a rank has "
                "several batches a step: write `for step in loader.steps():` and, inside it, "
                "`for x, y in step:`"
            )
        for step, microbatches in self._iterate_epoch(ends_with_backward=True, one_backward=True):
            begin_step(step)
            with microbatch_scope(Microbatch(step, rank)):
                yield self._load(microbatches[rank])
            end_step(step)

    def steps(self, one_backward: bool = False) -> Iterator[Iterator[Any]]:
        """Iterate over the remaining steps of the epoch; each is an iterator over its batches.

        The gradients are summed over the ranks when the inner loop ends; under
        ``dtrain run --elastic`` the inner loop starts again if a rank fails.

        Parameters
        ----------
        one_backward : a promise that each microbatch has exactly one backward pass, so that
            full gradient buckets are sent while the last backward pass still runs

        Examples
        --------
        >>> import dtrain
        >>> loader = DataLoader(TensorDataset(dtrain.arange(4)), batch_size=1, microbatches=2)
        >>> for step in loader.steps():
        ...     print([x.item() for (x,) in step])
        [0, 1]
        [2, 3]
        """
        for step, microbatches in self._iterate_epoch(False, one_backward):
            yield self._iterate_step(step, microbatches)

    def _iterate_step(self, step: Step, microbatches: list[_Samples]) -> Iterator[Any]:
        """This rank's batches of a step; all of them again if a rank fails before its end."""
        begin_step(step)
        done = False
        while not done:
            low, high = microbatch_range(world.rank(), world.world_size(), self.microbatches)
            for index in range(low, high):
                if step.sizes[index] or index == low:  # every rank runs one, even an empty one
                    with microbatch_scope(Microbatch(step, index)):
                        yield self._load(microbatches[index])
            done = end_step(step)

    def _iterate_epoch(
        self, ends_with_backward: bool, one_backward: bool
    ) -> Iterator[tuple[Step, list[_Samples]]]:
        """The remaining steps of the epoch, each with the samples of all its microbatches."""
        if self._left_early:
            self._begin_epoch(self.epoch + 1)
        epoch, first = self.epoch, self._next_step
        stream = self.batch_sampler is None and self.sampler is None
        before = self._steps_before if stream else epoch * len(self)
        for number, microbatches in enumerate(self._assign_samples(epoch, first), first):
            # A state_dict taken in the loop body counts this step as done.
            self._next_step, self._left_early = number + 1, True
            sizes = tuple(len(samples.indices) for samples in microbatches)
            yield Step(before + number, sizes, ends_with_backward, one_backward), microbatches
        self._begin_epoch(epoch + 1)

    def _assign_samples(self, epoch: int, first: int) -> Iterator[list[_Samples]]:
        """The samples of all microbatches of each step of an epoch, from step `first` on."""
        count = self.microbatches
        if self.batch_sampler is not None:
            set_epoch(self.batch_sampler, epoch)
            batches = islice(self.batch_sampler, first * count, None)
            while step := [np.asarray(batch, np.int64) for batch in islice(batches, count)]:
                empty = [step[0][:0]] * (count - len(step))
                yield [_Samples(self.dataset, batch) for batch in (*step, *empty)]
            return
        samples = self.batch_size * count
        if self.sampler is not None:
            set_epoch(self.sampler, epoch)
            order = np.fromiter(self.sampler, np.int64)
            for number in range(first, len(self)):
                indices = order[number * samples : (number + 1) * samples]
                yield [_Samples(self.dataset, part) for part in self._split(indices)]
            return
        stream = islice(iter(self.dataset), first * samples, None)
        while read := list(islice(stream, samples)):
            if len(read) == samples or not self.drop_last:
                yield [_Samples(read, part) for part in self._split(np.arange(len(read)))]

    def _split(self, indices: np.ndarray) -> list[np.ndarray]:
        """Split the samples of a step into microbatches; if they are few, the last are empty."""
        n = len(indices)
        filled = min(self.microbatches, max(-(-n // self.batch_size), n // 2))
        empty = [indices[:0]] * (self.microbatches - filled)
        return [*np.array_split(indices, filled), *empty]

    def _begin_epoch(self, epoch: int) -> None:
        self._steps_before += self._next_step
        self.epoch, self._next_step, self._left_early = epoch, 0, False

    def _load(self, samples: _Samples) -> Any:
        with span("load"):
            return self._make_batch(*samples)

    def _make_batch(self, source: Any, indices: np.ndarray) -> Any:
        if self.collate_fn is None and isinstance(source, TensorDataset):
            return list(source[from_numpy(indices)])
        if not len(indices):  # a batch of 0 samples has the shapes of one with samples
            return _make_empty(self._make_batch(source, np.zeros(1, np.int64)))
        if hasattr(source, "__getitems__"):
            samples = source.__getitems__(indices.tolist())
        else:
            samples = [source[i] for i in indices.tolist()]
        return (self.collate_fn or default_collate)(samples)

    def state_dict(self) -> dict[str, Any]:
        """The loader's position (epoch, next step), and the options that assign its samples.

        Taken in the body of a loop, it counts the current step as done.
        """
        return {
            "epoch": self.epoch,
            "next_step": self._next_step,
            "steps": self._assignment(),
            "steps_before": self._steps_before,
        }

    def _assignment(self) -> dict[str, int | None]:
        """The options that decide which samples each step has."""
        stream = self.batch_sampler is None and self.sampler is None
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "microbatches": self.microbatches,
            "samples": None if stream else self._count_samples(),
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at the step after the one where `state` was taken, on any number of ranks.

        Parameters
        ----------
        state : as `state_dict` returned it

        Raises
        ------
        ValueError
            If this loader has other options or another number of samples, so that its steps
            would hold other samples.

        Examples
        --------
        >>> import dtrain
        >>> loader = DataLoader(range(6), batch_size=2)
        >>> next(iter(loader))
        tensor([0, 1])
        >>> resumed = DataLoader(range(6), batch_size=2)
        >>> resumed.load_state_dict(loader.state_dict())
        >>> next(iter(resumed))
        tensor([2, 3])
        """
        for key, own in self._assignment().items():
            if state["steps"][key] != own:
                raise ValueError(
                    f"DataLoader: the state is of a loader with {key}={state['steps'][key]}, this "
                    f"one has {key}={own}: its steps would hold other samples"
                )
        self._begin_epoch(state["epoch"])
        self._next_step, self._steps_before = state["next_step"], state.get("steps_before", 0)


def _check_order(
    dataset: Any, shuffle: bool | None, sampler: Any, in_batches: bool, sized: bool
) -> None:
    """Refuse options that contradict each other about the samples' order."""
    if isinstance(dataset, IterableDataset):
        if shuffle or sampler is not None or in_batches:
            raise ValueError(
                "DataLoader: an IterableDataset has its own order: expected no shuffle, sampler "
                "or batch_sampler"
            )
    elif sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle are mutually exclusive: drop one")
    elif in_batches and (sized or shuffle or sampler is not None):
        raise ValueError(
            "DataLoader: batch_sampler is mutually exclusive with batch_size, shuffle, sampler "
            "and drop_last"
        )


def _make_empty(batch: Any) -> Any:
    """The batch with 0 samples in place of its own."""
    if isinstance(batch, dict):
        return {key: _make_empty(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_make_empty(value) for value in batch]
    return batch[:0]
