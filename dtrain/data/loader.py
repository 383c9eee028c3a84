"""`DataLoader`: batches of a dataset, dealt to the ranks in an order that they do not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from dtrain.backend import Generator, initial_seed
from dtrain.backend.profiler import span
from dtrain.data.collate import default_collate
from dtrain.data.dataset import Dataset, IterableDataset, TensorDataset
from dtrain.data.samplers import RandomSampler, SequentialSampler, begin_epoch
from dtrain.distributed import world
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.distributed.step import Microbatch, Step, begin_step, end_step, microbatch_scope
from dtrain.functions.creation import from_numpy

#: options of PyTorch's that choose how its workers load, and change no batch
_LOADING = {
    "in_order", "multiprocessing_context", "num_workers", "persistent_workers", "pin_memory",
    "pin_memory_device", "prefetch_factor", "timeout", "worker_init_fn",
}  # fmt: skip


class _Part(NamedTuple):
    """The samples of one microbatch: what has them, and where."""

    source: Any
    indices: np.ndarray


class DataLoader:
    """Batches of a dataset, each rank its own (torch.utils.data.DataLoader).

    A step of the optimizer sees ``batch_size * microbatches`` samples: `microbatches` batches of
    `batch_size`, dealt to the ranks in contiguous runs. Which samples a step has, and how they
    are split, depends on the arguments here and the epoch, never on the number of ranks.
    The last step of an epoch has what is left, split evenly into batches of two samples or more
    (BatchNorm needs two). A rank for which there is none gets an empty batch, which counts for
    nothing.

    ``for x, y in loader`` gives one batch a step, for as many microbatches as ranks.
    ``for step in loader.steps(): for x, y in step`` is the general form.

    Parameters
    ----------
    dataset : Dataset, or any sequence
    batch_size : samples of one microbatch: what one forward pass sees
    shuffle : a new order in each epoch, a function of (seed, epoch) alone
    seed : of that order; `initial_seed()` if None
    drop_last : leave out the last step if it is short
    microbatches : of a step; the number of ranks if None
    collate_fn : from a list of samples to a batch
    sampler : the indices of an epoch's samples, in place of `shuffle` (see `Sampler`)
    batch_sampler : the indices of each microbatch, in place of `batch_size` and `sampler`
    generator : its seed is taken for `seed`
    loading : PyTorch's options for workers, such as `num_workers` and `pin_memory`; a rank loads
        in its own process, to the same batches

    >>> import dtrain
    >>> data = TensorDataset(dtrain.arange(5))
    >>> [x.tolist() for (x,) in DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset | Sequence[Any],
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
        **loading: Any,
    ):
        for name, value in (("batch_size", batch_size), ("microbatches", microbatches)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"DataLoader: {name} must be >= 1, got {value!r}")
        for name in loading:
            if name not in _LOADING:
                raise TypeError(f"DataLoader: unexpected argument {name!r}")
        size = world.world_size()
        if microbatches is not None and microbatches < size:
            raise ValueError(
                f"DataLoader: microbatches must be >= the number of ranks, got microbatches="
                f"{microbatches} on {size} ranks: run at most {microbatches} ranks"
            )
        in_batches = batch_sampler is not None
        _check_order(dataset, shuffle, sampler, in_batches, batch_size != 1 or drop_last)
        if seed is None:
            seed = initial_seed() if generator is None else generator.initial_seed()
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = bool(shuffle)
        self.seed = seed
        self.drop_last = drop_last
        self.microbatches = size if microbatches is None else microbatches
        self.collate_fn = collate_fn
        if sampler is None and not in_batches and not isinstance(dataset, IterableDataset):
            drawn = RandomSampler(dataset, generator=Generator(seed)) if shuffle else None
            sampler = drawn or SequentialSampler(dataset)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        #: the epoch that runs, or that begins next
        self.epoch = 0
        self._next_step = 0  # within the epoch
        self._left_early = False
        self._steps_before = 0  # of all epochs of a stream that have ended

    def __len__(self) -> int:
        """The steps of an epoch."""
        if self.batch_sampler is not None:
            batches: Any = self.batch_sampler
            return -(-len(batches) // self.microbatches)
        whole, rest = divmod(self._samples(), self.batch_size * self.microbatches)
        return whole if self.drop_last or not rest else whole + 1

    def _samples(self) -> int:
        """The samples of an epoch."""
        source: Any = self.dataset if self.sampler is None else self.sampler
        return len(source)

    def __iter__(self) -> Iterator[Any]:
        rank, size = world.rank(), world.world_size()
        if self.microbatches != size:
            raise RuntimeError(
                f"DataLoader: {self.microbatches} microbatches on {size} ranks: a step can have "
                "several batches on a rank; write `for step in loader.steps():` and, inside, "
                "`for x, y in step:`"
            )
        for step, parts in self._epoch(ends_with_backward=True, one_backward=True):
            begin_step(step)
            with microbatch_scope(Microbatch(step, rank)):
                yield self._load(parts[rank])
            end_step(step)

    def steps(self, one_backward: bool = False) -> Iterator[Iterator[Any]]:
        """The steps of the rest of this epoch; each an iterator over this rank's microbatches.

        Parameters
        ----------
        one_backward : promises one backward pass in each microbatch, so that over a network
            gradients can be sent while the last one still computes
        """
        for step, parts in self._epoch(False, one_backward):
            yield self._run(step, parts)

    def _run(self, step: Step, parts: list[_Part]) -> Iterator[Any]:
        begin_step(step)
        done = False
        while not done:  # once, if no rank is lost
            low, high = microbatch_range(world.rank(), world.world_size(), self.microbatches)
            for index in range(low, high):
                if step.sizes[index] or index == low:  # a rank's first: every rank takes part
                    with microbatch_scope(Microbatch(step, index)):
                        yield self._load(parts[index])
            done = end_step(step)

    def _epoch(
        self, ends_with_backward: bool, one_backward: bool
    ) -> Iterator[tuple[Step, list[_Part]]]:
        """The steps from where the epoch stands, and the samples of each one's microbatches."""
        if self._left_early:  # the last loop over this loader was left by a break
            self._begin_epoch(self.epoch + 1)
        epoch, first = self.epoch, self._next_step
        stream = self.batch_sampler is None and self.sampler is None
        before = self._steps_before if stream else epoch * len(self)
        for number, parts in enumerate(self._deal(epoch, first), first):
            # What runs from here on has been consumed: a state_dict taken in the loop body says
            # that the next step is the one after.
            self._next_step, self._left_early = number + 1, True
            sizes = tuple(len(part.indices) for part in parts)
            yield Step(before + number, sizes, ends_with_backward, one_backward), parts
        self._begin_epoch(epoch + 1)

    def _deal(self, epoch: int, first: int) -> Iterator[list[_Part]]:
        """The microbatches of each step of an epoch, from step `first` on."""
        count = self.microbatches
        if self.batch_sampler is not None:
            begin_epoch(self.batch_sampler, epoch)
            batches = islice(self.batch_sampler, first * count, None)
            while some := [np.asarray(batch, np.int64) for batch in islice(batches, count)]:
                empty = [some[0][:0]] * (count - len(some))
                yield [_Part(self.dataset, batch) for batch in (*some, *empty)]
            return
        samples = self.batch_size * count
        if self.sampler is not None:
            begin_epoch(self.sampler, epoch)
            order = np.fromiter(self.sampler, np.int64)
            for number in range(first, len(self)):
                indices = order[number * samples : (number + 1) * samples]
                yield [_Part(self.dataset, part) for part in self._split(indices)]
            return
        stream = islice(iter(self.dataset), first * samples, None)
        while some := list(islice(stream, samples)):
            if len(some) == samples or not self.drop_last:
                yield [_Part(some, part) for part in self._split(np.arange(len(some)))]

    def _split(self, indices: np.ndarray) -> list[np.ndarray]:
        """The samples of each microbatch of a step; the last ones are empty if there are few."""
        n = len(indices)
        filled = min(self.microbatches, max(-(-n // self.batch_size), n // 2))
        empty = [indices[:0]] * (self.microbatches - filled)
        return [*np.array_split(indices, filled), *empty]

    def _begin_epoch(self, epoch: int) -> None:
        self._steps_before += self._next_step
        self.epoch, self._next_step, self._left_early = epoch, 0, False

    def _load(self, part: _Part) -> Any:
        with span("load"):
            return self._batch(*part)

    def _batch(self, source: Any, indices: np.ndarray) -> Any:
        if self.collate_fn is None and isinstance(source, TensorDataset):
            return list(source[from_numpy(indices)])
        if not len(indices):  # a rank without a sample in the last step: a batch of none
            return _emptied(self._batch(source, np.zeros(1, np.int64)))
        if hasattr(source, "__getitems__"):
            samples = source.__getitems__(indices.tolist())
        else:
            samples = [source[i] for i in indices.tolist()]
        return (self.collate_fn or default_collate)(samples)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: the next step, and what decides which samples it has."""
        state = {"epoch": self.epoch, "next_step": self._next_step, "steps": self._steps_are()}
        return state | {"steps_before": self._steps_before}

    def _steps_are(self) -> dict[str, int | None]:
        stream = self.batch_sampler is None and self.sampler is None
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "microbatches": self.microbatches,
            "samples": None if stream else self._samples(),
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, on any number of ranks.

        Raises
        ------
        ValueError
            If this loader splits the data differently: the steps would not be the same.
        """
        for key, own in self._steps_are().items():
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
    """Refuse what says twice which samples there are."""
    if isinstance(dataset, IterableDataset):
        if shuffle or sampler is not None or in_batches:
            raise ValueError(
                "DataLoader: a stream has an order of its own: expected no shuffle, sampler or "
                "batch_sampler for an IterableDataset"
            )
    elif sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle are mutually exclusive: leave one away")
    elif in_batches and (sized or shuffle or sampler is not None):
        raise ValueError(
            "DataLoader: batch_sampler is mutually exclusive with batch_size, shuffle, sampler "
            "and drop_last"
        )


def _emptied(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {key: _emptied(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_emptied(value) for value in batch]
    return batch[:0]
