"""`Shard`: the part of a bucket that this rank's optimizer updates (ZeRO)."""

from __future__ import annotations

from collections.abc import Sequence

from dtrain.autograd.bucket import Bucket
from dtrain.distributed.comm.communicator import Communicator


class Shard:
    """One of the contiguous parts into which a bucket is cut, kept with the bucket.

    Optimizers update this part of the bucket alone and hold state for it alone.

    Parameters
    ----------
    borders : (shards + 1,) elements where the shards begin, and where the last one ends
    index : which shard this rank has
    scatters_gradients : whether rank r has shard r, so that the reduction gives each rank the
        gradients of its own shard alone (reduce-scatter)
    """

    count: int
    gradient_bounds: Sequence[int] | None
    gradients_are_scattered: bool

    def __init__(
        self, bucket: Bucket, borders: Sequence[int], index: int, scatters_gradients: bool
    ):
        self.bucket: Bucket = bucket
        self.borders: Sequence[int] = borders
        self.count: int = len(borders) - 1
        #: the elements of each rank's shard, for a reduce-scatter; None: gradients stay whole
        self.gradient_bounds: Sequence[int] | None = borders if scatters_gradients else None
        #: whether the gradients in the bucket are the mean over the ranks in this shard alone
        self.gradients_are_scattered: bool = False
        bucket.update_range = slice(borders[index], borders[index + 1])
        bucket.attachments[Shard] = self
        bucket.before_read_grad = self._require_whole_gradients

    def gather_gradients(self, comm: Communicator) -> None:
        """Make the gradients whole on every rank; every rank calls it."""
        if self.gradients_are_scattered:
            assert self.gradient_bounds is not None
            comm.all_gather_slices(self.bucket.grads.flat, self.gradient_bounds)
            self.gradients_are_scattered = False

    def _require_whole_gradients(self) -> None:
        if self.gradients_are_scattered:
            raise RuntimeError(
                "grad: the gradients are sharded over the ranks, this rank has its part: call "
                "optimizer.gather_grads() on every rank to have the whole gradient"
            )


def find_shard(bucket: Bucket) -> Shard | None:
    """The shard of a bucket whose optimizer is sharded, else None."""
    shard = bucket.attachments.get(Shard)
    assert shard is None or isinstance(shard, Shard)
    return shard
