"""`DistributedSampler`: this rank's part of a dataset (torch.utils.data.distributed)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np

from dtrain.data.samplers import Sampler
from dtrain.distributed import world
from dtrain.distributed.context import run_context


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index from `rank` on, in PyTorch's order (torch.utils.data's).

    A DataLoader with this sampler gives the rank all of its samples, in the batches of PyTorch.
    dtrain's own loop has no need of it: there the DataLoader shards, so that the results do not
    depend on the number of ranks.

    Parameters
    ----------
    dataset : its length is read
    num_replicas, rank : the number of ranks, and this rank's; None: those of the world
    shuffle : draw the order from `seed` plus the epoch given to `set_epoch`, by PyTorch's
        generator
    seed : the same on all ranks
    drop_last : omit the last samples so that all ranks have as many; otherwise the first samples
        are repeated

    Raises
    ------
    ValueError
        If `rank` is not below `num_replicas`.

    Examples
    --------
    >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    #: the loader does not call `set_epoch`: the program does, as in PyTorch
    keeps_epoch = True

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        size = world.world_size() if num_replicas is None else num_replicas
        own = world.rank() if rank is None else rank
        if not 0 <= own < size:
            raise ValueError(
                f"DistributedSampler: expected a rank from 0 to {size - 1}, got rank={own}"
            )
        self.dataset: Sized = dataset
        self.num_replicas: int = size
        self.rank: int = own
        self.shuffle: bool = shuffle
        self.seed: int = seed
        self.drop_last: bool = drop_last
        self.epoch: int = 0
        whole, rest = divmod(len(dataset), size)
        self.num_samples: int = whole if drop_last or not rest else whole + 1
        self.total_size: int = self.num_samples * size

    def set_epoch(self, epoch: int) -> None:
        """Draw another order from now on: call it before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        order = (
            draw_torch_permutation(count, self.seed + self.epoch) if self.shuffle else range(count)
        )
        padded = itertools.islice(itertools.cycle(order), self.total_size)
        return itertools.islice(padded, self.rank, None, self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples


def draw_torch_permutation(count: int, seed: int) -> list[int]:
    """What torch.randperm draws on a CPU: a shuffle by 32-bit numbers of the Mersenne Twister."""
    twister = np.random.RandomState(seed % 2**32)
    drawn = twister.randint(0, 2**32, count, dtype=np.uint32) if count else np.empty(0, np.uint32)
    steps = drawn[:-1] % np.arange(count, 1, -1, dtype=np.uint32)
    order = list(range(count))
    for here, step in enumerate(steps.tolist()):
        order[here], order[here + step] = order[here + step], order[here]
    return order


def has_own_samples(sampler: Any, batch_sampler: Any) -> bool:
    """Whether a loader gives a rank every sample of its sampler, as PyTorch's does.

    That holds with a DistributedSampler, and after `init_process_group`.
    """
    inner = sampler if batch_sampler is None else getattr(batch_sampler, "sampler", batch_sampler)
    return isinstance(inner, DistributedSampler) or run_context().backend is not None
