"""`DataLoader`: batches of a dataset, dealt to the ranks in an order that they do not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dtrain.backend import initial_seed
from dtrain.backend.random import permutation
from dtrain.backend.trace import span
from dtrain.data.collate import default_collate
from dtrain.data.dataset import Dataset, TensorDataset
from dtrain.distributed import world
from dtrain.distributed.reduce import run_of
from dtrain.distributed.step import Microbatch, Step, begin_step, end_step, inside
from dtrain.ops.creation import from_numpy


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

    >>> import dtrain
    >>> data = TensorDataset(dtrain.arange(5))
    >>> [x.tolist() for (x,) in DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset | Sequence[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int | None = None,
        drop_last: bool = False,
        microbatches: int | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ):
        for name, value in (("batch_size", batch_size), ("microbatches", microbatches)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"DataLoader: {name} must be >= 1, got {value!r}")
        size = world.world_size()
        if microbatches is not None and microbatches < size:
            raise ValueError(
                f"DataLoader: microbatches must be >= the number of ranks, got microbatches="
                f"{microbatches} on {size} ranks: run at most {microbatches} ranks"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = initial_seed() if seed is None else seed
        self.drop_last = drop_last
        self.microbatches = size if microbatches is None else microbatches
        self.collate_fn = collate_fn
        #: the epoch that runs, or that begins next
        self.epoch = 0
        self._next_step = 0  # within the epoch
        self._left_early = False

    def __len__(self) -> int:
        """The steps of an epoch."""
        samples = self.batch_size * self.microbatches
        whole, rest = divmod(len(self.dataset), samples)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[Any]:
        rank, size = world.rank(), world.world_size()
        if self.microbatches != size:
            raise RuntimeError(
                f"DataLoader: {self.microbatches} microbatches on {size} ranks: a step can have "
                "several batches on a rank; write `for step in loader.steps():` and, inside, "
                "`for x, y in step:`"
            )
        for step, indices in self._epoch(ends_with_backward=True, one_backward=True):
            begin_step(step)
            with inside(Microbatch(step, rank)):
                yield self._load(indices[rank])
            end_step(step)

    def steps(self, one_backward: bool = False) -> Iterator[Iterator[Any]]:
        """The steps of the rest of this epoch; each an iterator over this rank's microbatches.

        Parameters
        ----------
        one_backward : promises one backward pass in each microbatch, so that over a network
            gradients can be sent while the last one still computes
        """
        for step, indices in self._epoch(False, one_backward):
            yield self._run(step, indices)

    def _run(self, step: Step, indices: list[np.ndarray]) -> Iterator[Any]:
        begin_step(step)
        done = False
        while not done:  # once, if no rank is lost
            low, high = run_of(world.rank(), world.world_size(), self.microbatches)
            for index in range(low, high):
                if step.sizes[index] or index == low:  # a rank's first: every rank takes part
                    with inside(Microbatch(step, index)):
                        yield self._load(indices[index])
            done = end_step(step)

    def _epoch(
        self, ends_with_backward: bool, one_backward: bool
    ) -> Iterator[tuple[Step, list[np.ndarray]]]:
        """The steps from where the epoch stands, and the samples of each one's microbatches."""
        if self._left_early:  # the last loop over this loader was left by a break
            self._begin_epoch(self.epoch + 1)
        epoch, first, total = self.epoch, self._next_step, len(self.dataset)
        order = permutation(self.seed, epoch, total) if self.shuffle else np.arange(total)
        samples = self.batch_size * self.microbatches
        for number in range(first, len(self)):
            # What runs from here on has been consumed: a state_dict taken in the loop body says
            # that the next step is the one after.
            self._next_step, self._left_early = number + 1, True
            indices = self._split(order[number * samples : (number + 1) * samples])
            sizes = tuple(len(part) for part in indices)
            place = epoch * len(self) + number
            yield Step(place, sizes, ends_with_backward, one_backward), indices
        self._begin_epoch(epoch + 1)

    def _split(self, indices: np.ndarray) -> list[np.ndarray]:
        """The samples of each microbatch of a step; the last ones are empty if there are few."""
        n = len(indices)
        filled = min(self.microbatches, max(-(-n // self.batch_size), n // 2))
        empty = [indices[:0]] * (self.microbatches - filled)
        return [*np.array_split(indices, filled), *empty]

    def _begin_epoch(self, epoch: int) -> None:
        self.epoch, self._next_step, self._left_early = epoch, 0, False

    def _load(self, indices: np.ndarray) -> Any:
        with span("load"):
            return self._batch(indices)

    def _batch(self, indices: np.ndarray) -> Any:
        if self.collate_fn is None and isinstance(self.dataset, TensorDataset):
            return list(self.dataset[from_numpy(indices)])
        if not len(indices):  # a rank without a sample in the last step: a batch of none
            return _emptied(self._batch(np.zeros(1, np.int64)))
        if hasattr(self.dataset, "__getitems__"):
            samples = self.dataset.__getitems__(indices.tolist())
        else:
            samples = [self.dataset[i] for i in indices.tolist()]
        return (self.collate_fn or default_collate)(samples)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: the next step, and what decides which samples it has."""
        return {"epoch": self.epoch, "next_step": self._next_step, "steps": self._steps_are()}

    def _steps_are(self) -> dict[str, int]:
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "microbatches": self.microbatches,
            "samples": len(self.dataset),
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
        self._next_step = state["next_step"]


def _emptied(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {key: _emptied(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_emptied(value) for value in batch]
    return batch[:0]
