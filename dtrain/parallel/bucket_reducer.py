"""A bucket's gradients over a step: the sum over this rank's microbatches, then over the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.bucket import Bucket, GradBuffer
from dtrain.backend import Array
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import TreeAccumulator, microbatch_range


class BucketReducer:
    """Makes the gradients in a bucket the mean over all samples of a step.

    Parameters
    ----------
    exact : add in the order of the tree, to bits that no number of ranks changes; else as they
        come, and by the library below
    """

    def __init__(self, bucket: Bucket, exact: bool):
        self.bucket = bucket
        self._exact = exact
        self._buffer_pool: list[GradBuffer] = []

    def begin(self, rank: int, size: int, sizes: Sequence[int]) -> None:
        """A step of microbatches with so many samples each, of which this rank has its run."""
        self._even = len(set(sizes)) == 1
        self._sizes = sizes
        self._next, self._end = microbatch_range(rank, size, len(sizes))
        self._sum: Any = (
            TreeAccumulator(len(sizes), self._add) if self._exact else _PlainSum(self._add)
        )
        #: which parameters have got a gradient on this rank
        self.used = [False] * len(self.bucket.params)
        self._preexisting: tuple[GradBuffer, list[bool]] | None = None

    def _add(self, left: GradBuffer, right: GradBuffer) -> None:
        left.flat += right.flat
        self._buffer_pool.append(right)

    def _fresh(self) -> GradBuffer:
        return self._buffer_pool.pop() if self._buffer_pool else self.bucket.new_grads()

    def _use_fresh(self) -> None:
        self.bucket.use_grads(self._fresh(), [False] * len(self.bucket.params))

    def set_aside(self) -> None:
        """Keep gradients that were there before the step, to be added to the step's."""
        filled = self.bucket.filled()
        if any(filled):
            self._preexisting = self.bucket.grads, filled
            self._use_fresh()

    def push(self, index: int) -> None:
        """Add the gradients in the bucket, which are those of microbatch `index`."""
        bucket = self.bucket
        self._skip_to(index)
        bucket.fill_missing()
        self.used = [a or b for a, b in zip(self.used, bucket.filled())]
        weight = self._weight(index)
        if weight == 0:  # not a product: the gradients of no samples are NaN
            bucket.grads.flat[...] = 0
        elif weight != 1:
            bucket.grads.flat *= weight
        self._sum.push(index, bucket.grads)
        self._use_fresh()
        self._next = index + 1

    def _weight(self, index: int) -> float:
        return 1 if self._even else self._sizes[index]

    def _skip_to(self, index: int) -> None:
        """Add zeros for the microbatches before `index` that brought nothing."""
        for missed in range(self._next, index):
            zeros = self._fresh()
            zeros.flat[...] = 0
            self._sum.push(missed, zeros)
        self._next = max(self._next, index)

    def close(self) -> None:
        """This rank has no more microbatches."""
        self._skip_to(self._end)

    def reduce(self, comm: Communicator) -> None:
        """Let the first partial be the mean over all ranks; may run in another thread."""
        partials: list[Array] = [buffer.flat for _, _, buffer in self._sum.partials]
        count = len(self._sizes)
        divisor = count if self._even else sum(self._sizes)
        with np.errstate(all="ignore"):  # NaN and infinity are values here
            if not self._exact:
                comm.native_all_reduce(partials[0], divisor)
            elif self.bucket.bounds is not None:
                comm.reduce_scatter(partials, partials[0], self.bucket.bounds, count, divisor)
            else:
                comm.all_reduce(partials, partials[0], count, divisor)

    def leave_result(self, used: list[bool]) -> None:
        """Put the mean into the bucket, for the parameters that some rank has used."""
        bucket = self.bucket
        result = self._take_result(used)
        self._buffer_pool.append(bucket.grads)
        bucket.use_grads(result, used)
        bucket.scattered = self._exact and bucket.bounds is not None
        if self._preexisting is None:
            return
        before, filled = self._preexisting
        for i, there in enumerate(filled):
            if there and used[i]:
                bucket.grads.views[i].array += before.views[i].array
            elif there:
                bucket.params[i]._grad = bucket.write_grad(i, before.views[i].array)
        self._buffer_pool.append(before)

    def _take_result(self, used: list[bool]) -> GradBuffer:
        (_, _, result), *others = self._sum.partials
        self._buffer_pool += [buffer for _, _, buffer in others]
        return result

    def abandon(self, begun: bool) -> None:
        """Forget the step; `begun` if gradients that were there before have been set aside."""
        self._buffer_pool += [buffer for _, _, buffer in self._sum.partials]
        if self._preexisting is not None:
            self._buffer_pool.append(self.bucket.grads)
            self.bucket.use_grads(*self._preexisting)
        elif begun:
            self._buffer_pool.append(self.bucket.grads)
            self._use_fresh()


class _PlainSum:
    """The sum of values in the order in which they come, with TreeAccumulator's face."""

    def __init__(self, add: Any):
        self._add = add
        self.partials: list[tuple[int, int, Any]] = []

    def push(self, index: int, value: Any) -> None:
        if self.partials:
            self._add(self.partials[0][2], value)
        else:
            self.partials.append((index, index + 1, value))
