"""Statistics of the batch of all ranks, and means of its gradients, for `SyncBatchNorm`."""

from __future__ import annotations

import numpy as np

from dtrain.backend import Array, array_module
from dtrain.distributed import world
from dtrain.distributed.comm.blocks import gather_rows
from dtrain.distributed.comm.tree_reduce import combine
from dtrain.distributed.step import current_microbatch
from dtrain.nn.sync_batch_norm import GlobalBatchStatistics


def gather_batch_statistics(count: int, mean: Array, var: Array) -> GlobalBatchStatistics:
    """Combine the statistics of this rank's microbatch with those of all ranks.

    Every rank calls it, for its layers in the same order. Sums are tree reductions.

    Parameters
    ----------
    count : values of each channel in this rank's microbatch
    mean, var : (c,) of this rank's microbatch; the biased variance

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
            f"{comm.size} ranks: run {len(sizes)} ranks, or omit the DataLoader's "
            "microbatches, or use BatchNorm, whose statistics are those of each microbatch"
        )
    samples = 1 if len(set(sizes)) == 1 else sizes[comm.rank]
    channels, xp = len(mean), array_module(mean)
    table = gather_rows(comm, xp.concatenate([xp.full(1, count), mean, var], dtype=np.float64))
    counts, means, variances = table[:, :1], table[:, 1 : channels + 1], table[:, channels + 1 :]
    total = _sum_rows(counts)
    at_least_one = xp.maximum(total, 1)
    mean = _sum_rows(counts * means) / at_least_one
    var = _sum_rows(counts * (variances + (means - mean) ** 2)) / at_least_one

    def gradient_means(first: Array, second: Array) -> tuple[Array, Array]:
        sums = xp.concatenate([first, second], dtype=np.float64) * samples
        gradients = _sum_rows(gather_rows(comm, sums)) / (at_least_one * max(samples, 1))
        return tuple(gradients.astype(first.dtype).reshape(2, channels))

    return GlobalBatchStatistics(total, mean, var, gradient_means, comm.rank == 0)


def _sum_rows(rows: Array) -> Array:
    """The sum of the rows, by a tree reduction."""
    out = array_module(rows).empty(rows.shape[1], rows.dtype)
    partials = {(index, index + 1): row for index, row in enumerate(rows)}
    combine(partials, (0, len(rows)), [out], slice(None))
    return out
