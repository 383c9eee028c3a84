"""The batch of all ranks, as `SyncBatchNorm` asks for it: statistics, and means of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.backend import Array, array_module
from dtrain.distributed import world
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import combine
from dtrain.distributed.step import current_microbatch


@dataclass(frozen=True)
class GlobalBatchStatistics:
    """Statistics of each channel over all microbatches of a step, in float64."""

    count: Array  # (1,)
    mean: Array  # (c,)
    var: Array  # (c,), biased
    #: from this microbatch's sums over two gradients, arrays (c,), to the means over all; in the
    #: measure of this microbatch's loss, which will have the weight of its samples
    gradient_means: Callable[[Array, Array], tuple[Array, Array]]
    #: whether it is this rank that tells the statistics, for all
    tracked_here: bool


def of_whole_batch(count: int, mean: Array, var: Array) -> GlobalBatchStatistics:
    """The whole batch, of which this rank brings `count` values of each channel.

    All ranks call it together, and for each of their layers in the same order. Sums are added by
    the tree of `reduce`.

    Raises
    ------
    RuntimeError
        If a step has more microbatches than there are ranks, so that they do not run at once.
    """
    comm, microbatch = world.communicator(), current_microbatch()
    sizes = (1,) * comm.size if microbatch is None else microbatch.step.sizes
    if len(sizes) != comm.size:
        raise RuntimeError(
            "SyncBatchNorm: its statistics are those of all microbatches of a step, which must "
            f"run at once, one on each rank; the step has {len(sizes)} microbatches on "
            f"{comm.size} ranks: run {len(sizes)} ranks, or leave out the DataLoader's "
            "microbatches, or use BatchNorm, whose statistics are those of each microbatch"
        )
    samples = 1 if len(set(sizes)) == 1 else sizes[comm.rank]
    channels, xp = len(mean), array_module(mean)
    table = _gathered(comm, xp.concatenate([xp.full(1, count), mean, var], dtype=np.float64))
    counts, means, variances = table[:, :1], table[:, 1 : channels + 1], table[:, channels + 1 :]
    total = _total(counts)
    at_least_one = xp.maximum(total, 1)
    mean = _total(counts * means) / at_least_one
    var = _total(counts * (variances + (means - mean) ** 2)) / at_least_one

    def gradient_means(first: Array, second: Array) -> tuple[Array, Array]:
        sums = xp.concatenate([first, second], dtype=np.float64) * samples
        of_all = _total(_gathered(comm, sums)) / (at_least_one * max(samples, 1))
        return tuple(of_all.astype(first.dtype).reshape(2, channels))

    return GlobalBatchStatistics(total, mean, var, gradient_means, comm.rank == 0)


def _gathered(comm: Communicator, row: Array) -> Any:
    """Every rank's row, under one another."""
    empty = comm.empty if isinstance(row, np.ndarray) else array_module(row).empty
    flat = empty(comm.size * len(row), row.dtype)
    flat.reshape(comm.size, -1)[comm.rank] = row
    comm.all_gather_slices(flat, range(0, len(flat) + 1, len(row)))
    return flat.reshape(comm.size, -1)


def _total(rows: Array) -> Array:
    """The sum of the rows, by the tree."""
    out = array_module(rows).empty(rows.shape[1], rows.dtype)
    parts = {(index, index + 1): row for index, row in enumerate(rows)}
    combine(parts, (0, len(rows)), [out], slice(None))
    return out
