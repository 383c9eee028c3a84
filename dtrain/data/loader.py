"""`DataLoader`: each rank's batches, in an order that does not depend on the number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dtrain.backend import Generator, initial_seed
from dtrain.data.assignment import (
    Samples,
    assign_batches,
    assign_indices,
    assign_own,
    assign_stream,
    check_same_samples,
)
from dtrain.data.batches import BatchMaker
from dtrain.data.dataset import Dataset
from dtrain.data.distributed_sampler import has_own_samples
from dtrain.data.keyed_random import Key
from dtrain.data.loading import EpochLoader, WorkerPool
from dtrain.data.options import (
    check_order,
    check_position,
    check_sharded,
    exhausted_error,
    is_stream,
    require_at_least_1,
    require_microbatches,
    require_one_microbatch,
    require_steps,
)
from dtrain.data.sample_check import SampleCheck, make_sample_check
from dtrain.data.samplers import RandomSampler, SequentialSampler, set_epoch
from dtrain.data.step_batches import StepBatches
from dtrain.data.worker_options import WorkerOptions, read_worker_options
from dtrain.distributed import world
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.distributed.step import Microbatch, Step, begin_step, end_step, microbatch_scope

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DataLoader:
    """Iterates over this rank's batches of a dataset (torch.utils.data.DataLoader).

    An optimizer step has `microbatches` microbatches of `batch_size` samples each; a rank gets a
    contiguous range of them. Which samples a microbatch has depends on the arguments and the
    epoch, never on the number of ranks. The last step of an epoch has the remaining samples,
    split evenly into microbatches of two or more (BatchNorm needs two); the other microbatches
    are empty, and a rank that has only empty ones gets one batch of 0 samples.

    What a dataset draws from `dtrain`, `random` and `numpy.random` for a sample depends on (seed,
    epoch, index) alone.

    There are two loops. ``for x, y in loader`` gives one microbatch a step, for as many
    microbatches as ranks. ``for step in loader.steps(): for x, y in step`` is the general one.

    Unlike PyTorch's, the loader shards the data itself, without a DistributedSampler. A sampler or
    a stream that the user shards by rank is refused, unless ``sharded=True`` says so. With a
    DistributedSampler, and after `init_process_group` where no `microbatches` are given, it gives
    a rank all samples, as PyTorch's.

    Parameters
    ----------
    dataset : Dataset, IterableDataset, any sequence of samples, or any other iterable as a
        stream
    batch_size : samples of one microbatch, i.e. of one forward pass. None: each sample of the
        dataset is a microbatch as it is, of the same weight as any other
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
    sharded : whether each rank brings samples of its own, in its own order: a stream, sampler or
        dataset that is sharded by rank. The epoch ends together when no rank has any samples
        left; `len(loader)` counts this rank's. Not under ``dtrain run --elastic``, where other
        ranks could not load a failed rank's samples.
    num_workers : processes that load batches ahead, to the same bits; 0: the program itself loads.
        They start from a fork server, not from this process: functions and classes of the program
        itself are sent to them by cloudpickle
    worker_type : "thread": threads instead of processes, for samples that are read, or decoded by
        a library. Not for streams; a dataset that draws from `random` is loaded without overlap
    prefetch : batches that a thread loads ahead with ``num_workers=0``
    prefetch_factor : batches that each worker loads ahead; 2 if None
    persistent_workers : keep the workers, and their copies of the dataset, for the next epoch
    timeout : seconds in which a worker must give a batch; 0 for any time
    worker_init_fn : called in each worker with its number, before it loads
    pin_memory : give batches in pinned memory, from which ``x.to("cuda", non_blocking=True)``
        copies while the GPU still computes the last step; what worker processes loaded is pinned
        where it lies. Items with a method `pin_memory` give their own. A warning without a GPU
    pin_memory_device : accepted: pinned memory serves all GPUs
    in_order, multiprocessing_context : accepted; a warning where they would change something

    Attributes
    ----------
    epoch : int
        The current epoch, or the next one between epochs; counts from 0.

    Raises
    ------
    ValueError
        If an option is out of range, two options contradict each other, or there are more ranks
        than microbatches.
    DesyncError
        In the first step, if the ranks bring different samples and `sharded` is False: another
        order, or a dataset that is not the same on all ranks, of which DataParallel compares a few
        samples.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain.data import TensorDataset
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
        batch_size: int | None = 1,
        shuffle: bool | None = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        *,
        seed: int | None = None,
        drop_last: bool = False,
        microbatches: int | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        generator: Generator | None = None,
        sharded: bool = False,
        **workers: Unpack[WorkerOptions],
    ) -> None:
        if batch_size is not None:
            batch_size = require_at_least_1("batch_size", batch_size)
        elif drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size, got batch_size=None")
        settings = read_worker_options(workers, dataset)
        size = world.world_size()
        if microbatches is not None:
            microbatches = require_microbatches(microbatches, size)
        in_batches = batch_sampler is not None
        if sharded:
            check_sharded(world.communicator().elastic, in_batches)
        check_order(dataset, shuffle, sampler, in_batches, batch_size != 1 or drop_last)
        if seed is None:
            seed = initial_seed() if generator is None else generator.initial_seed()
        self.dataset: Any = dataset
        self.batch_size: int | None = batch_size
        self.sharded: bool = sharded
        self.shuffle: bool = bool(shuffle)
        self.seed: int = seed
        self.drop_last: bool = drop_last
        own = microbatches is None and not sharded and has_own_samples(sampler, batch_sampler)
        self._is_unsharded = own
        self.microbatches: int = microbatches or (1 if own else size)
        self.collate_fn: Callable[[list[Any]], Any] | None = collate_fn
        self.num_workers: int = workers.get("num_workers", 0)
        if sampler is None and not in_batches and not is_stream(dataset):
            if shuffle:
                sampler = RandomSampler(dataset, generator=Generator(seed))
            else:
                sampler = SequentialSampler(dataset)
        self.sampler: Iterable[int] | None = sampler
        self.batch_sampler: Iterable[Sequence[int]] | None = batch_sampler
        self.epoch: int = 0
        self._next_step = 0  # within the epoch
        self._left_early = False  # whether the last loop was left by a break
        self._steps_before = 0  # steps of the earlier epochs, where an epoch has no known length
        self._stream_parts = 1  # of the stream that was read last
        self._expected_parts: int | None = None  # where a state says so
        self._maker = BatchMaker(batch_size, collate_fn)
        self._workers = WorkerPool(settings, dataset, self._maker, seed)
        own_order = isinstance(self.sampler, (RandomSampler, SequentialSampler))
        self._check_order_once = not sharded and not own and not own_order
        self._check_samples_once = not sharded and not own and not is_stream(dataset)

    def __len__(self) -> int:
        """The number of optimizer steps in an epoch."""
        if self.batch_sampler is not None:
            batches: Any = self.batch_sampler
            return -(-len(batches) // self.microbatches)
        count = self.microbatches
        if self.sharded:
            low, high = microbatch_range(world.rank(), world.world_size(), count)
            count = high - low
        whole, rest = divmod(self._count_samples(), (self.batch_size or 1) * count)
        return whole if self.drop_last or not rest else whole + 1

    def _count_samples(self) -> int:
        """The number of samples in an epoch."""
        source: Any = self.dataset if self.sampler is None else self.sampler
        return len(source)

    def __iter__(self) -> Iterator[Any]:
        if self._is_unsharded:
            for _, (samples,), load in self._iterate_epoch(True, True):
                yield load(samples)
            return
        rank = world.rank()
        require_one_microbatch(self.microbatches, world.world_size())
        for step, microbatches, load in self._iterate_epoch(True, True):
            begin_step(step)
            with microbatch_scope(Microbatch(step, rank, microbatches[rank])):
                yield load(microbatches[rank])
            end_step(step)

    def steps(self, one_backward: bool = False) -> Iterator[StepBatches]:
        """Iterate over the remaining steps of the epoch; each is iterated over for its batches.

        The gradients are summed over the ranks when the inner loop ends; under
        ``dtrain run --elastic`` the inner loop starts again if a rank fails. A step may be iterated
        over several times, as by the closure of LBFGS.

        Parameters
        ----------
        one_backward : a promise that each microbatch has exactly one backward pass, so that
            full gradient buckets are sent while the last backward pass still runs

        Examples
        --------
        >>> loader = DataLoader(range(4), batch_size=1, microbatches=2)
        >>> for step in loader.steps():
        ...     print([x.item() for x in step])
        [0, 1]
        [2, 3]
        """
        require_steps(self._is_unsharded)
        for step, microbatches, load in self._iterate_epoch(False, one_backward):
            yield StepBatches(partial(self._iterate_step, step, microbatches, load))

    def _iterate_step(
        self, step: Step, microbatches: list[Samples], load: Callable[[Samples], Any]
    ) -> Iterator[Any]:
        """This rank's batches of a step; all of them again if a rank fails before its end."""
        step = replace(step)  # another object: a loop that was left by a break is forgotten
        begin_step(step)
        done = False
        while not done:
            low, high = self._own_range()
            for index in range(low, high):
                if step.sizes[index] or index == low:  # every rank runs one, even an empty one
                    with microbatch_scope(Microbatch(step, index, microbatches[index])):
                        yield load(microbatches[index])
            done = end_step(step)

    def _own_range(self) -> tuple[int, int]:
        """The microbatches that this rank runs of each step."""
        if self._is_unsharded:
            return 0, 1
        return microbatch_range(world.rank(), world.world_size(), self.microbatches)

    def _iterate_epoch(
        self, ends_with_backward: bool, one_backward: bool
    ) -> Iterator[tuple[Step, list[Samples], Callable[[Samples], Any]]]:
        """The remaining steps of the epoch: step, samples of its microbatches, their loader."""
        if self._left_early:
            self._begin_epoch(self.epoch + 1)
        epoch, first = self.epoch, self._next_step
        before = self._steps_before if self._has_no_length() else epoch * len(self)
        key, sampler = Key(self.seed, epoch, initial_seed()), None if self.sharded else self.sampler
        loader = EpochLoader(self._workers, self._maker, self.dataset, sampler, key)
        try:
            steps = self._assign_samples(loader, first)
            if self._check_order_once and world.world_size() > 1:
                steps = check_same_samples(steps)
            self._check_order_once = False
            ranks = 1 if self._is_unsharded else world.world_size()
            steps = loader.read_ahead(steps, self._own_range, self.microbatches / ranks)
            for number, microbatches in enumerate(steps, first):
                # A state_dict taken in the loop body counts this step as done.
                self._next_step, self._left_early = number + 1, True
                self._stream_parts = loader.stream_parts
                sizes = tuple(len(samples.indices) for samples in microbatches)
                check = self._make_check(loader, microbatches)
                step = Step(before + number, sizes, ends_with_backward, one_backward, check)
                yield step, microbatches, loader.load
        finally:
            loader.close()
        if epoch and not self._next_step and hasattr(self.dataset, "__next__"):
            raise exhausted_error(self.dataset)
        self._begin_epoch(epoch + 1)

    def _make_check(self, loader: EpochLoader, microbatches: list[Samples]) -> SampleCheck | None:
        """What the ranks compare in the first step that ends with a vote."""
        if not self._check_samples_once or world.world_size() == 1:
            return None

        def load(index: Any) -> Any:
            self._check_samples_once = False
            return loader.load_one(index)

        return make_sample_check(self.dataset, self.sampler, microbatches, load)

    def _has_no_length(self) -> bool:
        """Whether the number of steps of an epoch is not known before its end."""
        if self.sharded:
            return True
        order = self.sampler if self.batch_sampler is None else self.batch_sampler
        return not hasattr(order, "__len__")

    def _assign_samples(self, loader: EpochLoader, first: int) -> Iterator[list[Samples]]:
        """The samples of all microbatches of each step of an epoch, from step `first` on."""
        epoch = loader.key.epoch
        count, batch_size = self.microbatches, self.batch_size or 1
        if self.batch_sampler is not None:
            set_epoch(self.batch_sampler, epoch)
            return assign_batches(self.dataset, self.batch_sampler, count, first)
        if self.sampler is not None:
            set_epoch(self.sampler, epoch)
        order: Iterable[Any] = self.dataset if self.sampler is None else self.sampler
        if self.sampler is not None and not self.sharded:
            return assign_indices(self.dataset, order, batch_size, count, first, self.drop_last)
        shard = world.rank() if self.sharded else 0
        parts, self._expected_parts = self._expected_parts if first else None, None
        stream = loader.open_stream(order, shard, batch_size * count, parts)
        if not self.sharded:
            return assign_stream(stream, batch_size, count, first, self.drop_last)
        source = None if self.sampler is None else self.dataset
        return assign_own(stream, source, batch_size, count, first, self.drop_last)

    def _begin_epoch(self, epoch: int) -> None:
        self._steps_before += self._next_step
        self.epoch, self._next_step, self._left_early = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """The loader's position (epoch, next step), and the options that assign its samples.

        Taken in the body of a loop, it counts the current step as done.
        """
        return {
            "epoch": self.epoch,
            "next_step": self._next_step,
            "steps": self._assignment(),
            "steps_before": self._steps_before,
            "stream_parts": self._stream_parts,
        }

    def _assignment(self) -> dict[str, int | None]:
        """The options that decide which samples each step has."""
        unknown = self._has_no_length()
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "microbatches": self.microbatches,
            "samples": None if unknown else self._count_samples(),
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
        check_position(state)
        for key, own in self._assignment().items():
            if state["steps"][key] != own:
                raise ValueError(
                    f"DataLoader: the state is of a loader with {key}={state['steps'][key]}, this "
                    f"one has {key}={own}: its steps would hold other samples"
                )
        self._expected_parts = state.get("stream_parts")
        self._begin_epoch(state["epoch"])
        self._next_step, self._steps_before = state["next_step"], state.get("steps_before", 0)
