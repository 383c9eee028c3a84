"""A bucket's gradients over a step: the sum over this rank's microbatches, then over the ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dtrain.autograd.bucket import Bucket, GradBuffer
from dtrain.backend import Array
from dtrain.backend.dtypes import float32, is_half
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import Accumulator, TreeAccumulator, microbatch_range
from dtrain.parallel.reduction_state import ReductionStateMachine
from dtrain.parallel.shard import find_shard


class BufferPool:
    """Buffers that are free, for the next one who needs one.

    Parameters
    ----------
    make : makes a buffer where none is free
    keeps : False drops what is given back, whose memory is free for other buckets
    """

    def __init__(self, make: Callable[[], GradBuffer], keeps: bool = True):
        self._make, self._keeps = make, keeps
        self._free: list[GradBuffer] = []

    def take(self) -> GradBuffer:
        """A buffer, not initialized."""
        return self._free.pop() if self._free else self._make()

    def give_back(self, *buffers: GradBuffer) -> None:
        """Take buffers that nobody uses any more."""
        if self._keeps:
            self._free += buffers


class BucketReducer:
    """Makes the gradients in a bucket the mean over all samples of a step.

    `ReductionStateMachine` says in which order its methods are called.

    Parameters
    ----------
    bucket : where backward passes accumulate gradients
    exact : add in the order of the tree, to bits that do not depend on the number of ranks; else
        in the order of the microbatches on a rank, and of MPI or NCCL between the ranks
    """

    #: whether pre-existing gradients are reduced with the new ones, as PyTorch does
    reduces_preexisting = False

    used: list[bool]

    def __init__(self, bucket: Bucket, exact: bool):
        self.bucket: Bucket = bucket
        self._exact = exact
        self._state = ReductionStateMachine()
        self._buffers = BufferPool(lambda: bucket.new_grads())
        #: float16 and bfloat16 gradients are added and divided in float32
        self._in_float32: bool = is_half(bucket.data.dtype)
        self._sums = BufferPool(self.new_sum) if self._in_float32 else self._buffers

    def begin(self, rank: int, size: int, sizes: Sequence[int]) -> None:
        """Begin a step.

        Parameters
        ----------
        rank, size : this rank, and the number of ranks
        sizes : the number of samples of each microbatch of the step, on all ranks
        """
        self._state.advance("begin")
        self._even = len(set(sizes)) == 1
        self._sizes = sizes
        self._next, self._end = microbatch_range(rank, size, len(sizes))
        self._sum = self._new_accumulator(len(sizes))
        #: which parameters have got a gradient on this rank
        self.used: list[bool] = [False] * len(self.bucket.params)
        self._preexisting: tuple[GradBuffer, list[bool]] | None = None
        self._preexisting_are_scattered = False

    def _new_accumulator(self, count: int) -> Accumulator[GradBuffer]:
        return TreeAccumulator(count, self._add) if self._exact else _SequentialSum(self._add)

    def _add(self, left: GradBuffer, right: GradBuffer) -> None:
        left.flat += right.flat
        self._sums.give_back(right)

    def new_sum(self) -> GradBuffer:
        """Another buffer for sums, not initialized; of float32 if the bucket holds halves."""
        return self.bucket.new_grads(float32 if self._in_float32 else None)

    def _round_sum(self, total: GradBuffer) -> GradBuffer:
        """A sum in the dtype of the bucket."""
        if not self._in_float32:
            return total
        rounded = self._buffers.take()
        with np.errstate(all="ignore"):  # too large is infinity, as in the backward pass
            rounded.flat[...] = total.flat
        self._sums.give_back(total)
        return rounded

    def _use_empty_buffer(self) -> None:
        """Let the next microbatch accumulate in another buffer; every `grad` is None."""
        self.bucket.use_grads(self._buffers.take(), [False] * len(self.bucket.params))

    def set_aside(self) -> None:
        """Move pre-existing gradients out of the bucket; `commit` adds them to the step's."""
        self._state.advance("set_aside")
        shard = find_shard(self.bucket)
        if shard is not None:
            self._preexisting_are_scattered = shard.gradients_are_scattered
            shard.gradients_are_scattered = False
        filled = self.bucket.filled()
        if any(filled) and not self.reduces_preexisting:
            self._preexisting = self.bucket.grads, filled
            self._use_empty_buffer()

    def push(self, index: int) -> None:
        """Add the gradients in the bucket, which are those of microbatch `index`."""
        self._state.advance("push")
        bucket = self.bucket
        self._push_zeros_until(index)
        bucket.fill_missing()
        self.used = [a or b for a, b in zip(self.used, bucket.filled())]
        grads = bucket.grads
        if self._in_float32:
            grads = self._sums.take()
            grads.flat[...] = bucket.grads.flat
            self._buffers.give_back(bucket.grads)
        weight = self._weight(index)
        if weight == 0:  # not a product: the gradients of no samples are NaN
            grads.flat[...] = 0
        elif weight != 1:
            grads.flat *= weight
        self._sum.push(index, grads)
        self._use_empty_buffer()
        self._next = index + 1

    def _weight(self, index: int) -> float:
        return 1 if self._even else self._sizes[index]

    def _push_zeros_until(self, index: int) -> None:
        """Add zeros for the microbatches before `index` that had no backward pass."""
        for missed in range(self._next, index):
            zeros = self._sums.take()
            zeros.flat[...] = 0
            self._sum.push(missed, zeros)
        self._next = max(self._next, index)

    def close(self) -> None:
        """Complete the partial sums: this rank has no more microbatches."""
        self._state.advance("close")
        self._push_zeros_until(self._end)

    def reduce(self, comm: Communicator) -> None:
        """Turn the partial sums into the mean over all ranks; may run in another thread."""
        self._state.advance("reduce")
        with np.errstate(all="ignore"):  # NaN and infinity are values here
            self._exchange(comm)
        self._state.advance("reduced")

    def _exchange(self, comm: Communicator) -> None:
        """Reduce over the ranks into the first partial sum."""
        partials: list[Array] = [buffer.flat for _, _, buffer in self._sum.partials]
        count = len(self._sizes)
        divisor = count if self._even else sum(self._sizes)
        bounds = self._gradient_bounds()
        if not self._exact:
            comm.native_all_reduce(partials[0], divisor)
        elif bounds is not None:
            comm.reduce_scatter(partials, partials[0], bounds, count, divisor)
        else:
            comm.all_reduce(partials, partials[0], count, divisor)

    def _gradient_bounds(self) -> Sequence[int] | None:
        """The borders of the ranks' shards if each rank needs its own shard's gradients alone."""
        shard = find_shard(self.bucket)
        return None if shard is None or self.reduces_preexisting else shard.gradient_bounds

    def commit(self, used: list[bool]) -> None:
        """Put the mean into the bucket, for the parameters that some rank has used."""
        self._state.advance("commit")
        bucket = self.bucket
        result = self._take_result(used)
        self._buffers.give_back(bucket.grads)
        bucket.use_grads(self._round_sum(result), used)
        shard = find_shard(bucket)
        if shard is not None:
            is_scattered = self._exact and self._gradient_bounds() is not None
            shard.gradients_are_scattered = is_scattered
        if self._preexisting is not None:
            self._add_preexisting(*self._preexisting, used)

    def _take_result(self, used: list[bool]) -> GradBuffer:
        (_, _, result), *others = self._sum.partials
        self._sums.give_back(*(buffer for _, _, buffer in others))
        return result

    def _add_preexisting(self, before: GradBuffer, filled: list[bool], used: list[bool]) -> None:
        bucket = self.bucket
        for i, there in enumerate(filled):
            if there and used[i]:
                bucket.grads.views[i].array += before.views[i].array
            elif there:
                bucket.params[i]._grad = bucket.write_grad(i, before.views[i].array)
        self._buffers.give_back(before)

    def roll_back(self) -> None:
        """Forget the step: the bucket has the gradients that it had before."""
        if not self._state.roll_back():
            return
        self._sums.give_back(*(buffer for _, _, buffer in self._sum.partials))
        self._buffers.give_back(self.bucket.grads)
        if self._preexisting is None:
            self._use_empty_buffer()
        else:
            self.bucket.use_grads(*self._preexisting)
        shard = find_shard(self.bucket)
        if shard is not None:
            shard.gradients_are_scattered = self._preexisting_are_scattered


class _SequentialSum:
    """The sum of values in the order in which they come, as one partial sum."""

    def __init__(self, add: Callable[[GradBuffer, GradBuffer], None]):
        self._add = add
        self.partials: list[tuple[int, int, GradBuffer]] = []

    def push(self, index: int, value: GradBuffer) -> None:
        if self.partials:
            self._add(self.partials[0][2], value)
        else:
            self.partials.append((index, index + 1, value))
