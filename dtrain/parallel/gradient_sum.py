"""The gradients of a step: made by microbatches, added by the tree, agreed on by all ranks.

The statistics of batch normalization go the same way, but are folded one after another in the
order of the microbatches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd.bucket import Bucket, GradBuffer
from dtrain.autograd.graph import call_after_backward
from dtrain.distributed.communicator import Communicator
from dtrain.distributed.reduce import TreeSum, run_of
from dtrain.distributed.step import Microbatch, Step, current_microbatch
from dtrain.errors import DesyncError


class GradientSum:
    """Makes the gradients in some buckets the mean over all samples of each step.

    Parameters
    ----------
    comm : the ranks
    buckets : where backward passes put the gradients
    norms : layers whose `waiting_statistics` are to be folded
    """

    def __init__(self, comm: Communicator, buckets: Sequence[Bucket], norms: Sequence[Any]):
        self._comm = comm
        self._buckets = buckets
        self._norms = norms
        self._spare: list[list[GradBuffer]] = [[] for _ in buckets]
        # Outside a DataLoader a rank's backward pass is one of `size` equal microbatches.
        self._unnumbered = Microbatch(Step(-1, (1,) * comm.size, True), comm.rank)
        self._reset()
        for bucket in buckets:
            bucket.before_accumulate = self._before_accumulate
            bucket.before_step = self._before_step

    def _reset(self) -> None:
        self._step: Step | None = None
        self._microbatch: Microbatch | None = None  # whose gradients are in the buckets now
        self._sums: list[TreeSum] = []
        self._next_index = 0
        self._used = [[False] * len(bucket.params) for bucket in self._buckets]
        self._accumulated = False  # whether this step's gradients have begun
        self._touched = False  # whether this microbatch's have
        self._carried: list[tuple[GradBuffer, list[bool]] | None] = []
        self._statistics: dict[int, list[list[tuple[Any, Any]]]] = {}

    # --- while a step runs ---

    def before_forward(self) -> None:
        """What comes now belongs to the microbatch that the loader is at."""
        self._enter(current_microbatch() or self._unnumbered)

    def _before_accumulate(self, bucket: Bucket) -> None:
        microbatch = current_microbatch() or self._unnumbered
        self._enter(microbatch)
        self._touched = True
        if not self._accumulated:
            self._set_aside()
        if microbatch.step.ends_with_backward:
            call_after_backward(self._finish)

    def _before_step(self) -> None:
        if self._accumulated:
            raise RuntimeError(
                "optimizer.step(): the gradients of this step are not summed over the ranks yet: "
                "run the loop over the step's microbatches to its end first"
            )

    def at_step_end(self, step: Step) -> None:
        """This rank has run all its microbatches of the step."""
        if self._step is step:
            self._finish()

    def _enter(self, microbatch: Microbatch) -> None:
        if microbatch is self._microbatch:
            return
        if self._step is not None and self._step is not microbatch.step:
            self._abandon()
        if self._step is None:
            self._begin(microbatch.step)
        elif self._microbatch is not None:
            self._push()
        self._skip_to(microbatch.index)
        self._microbatch = microbatch

    def _begin(self, step: Step) -> None:
        self._step = step
        self._sums = [TreeSum(len(step.sizes), self._adder(spare)) for spare in self._spare]
        self._next_index, _ = run_of(self._comm.rank, self._comm.size, len(step.sizes))

    def _abandon(self) -> None:
        """Forget a step that was left before its end, as by a break: each rank has another part."""
        for total, spare in zip(self._sums, self._spare):
            spare.extend(buffer for _, _, buffer in total.blocks)
        if self._accumulated:
            for index, carried in enumerate(self._carried):
                if carried is None:
                    self._use_fresh_buffer(index)
                else:
                    self._buckets[index].use_grads(*carried)
        for norm in self._norms:
            norm.waiting_statistics.clear()
        self._reset()

    @staticmethod
    def _adder(spare: list[GradBuffer]) -> Any:
        def add(left: GradBuffer, right: GradBuffer) -> None:
            left.flat += right.flat
            spare.append(right)

        return add

    def _set_aside(self) -> None:
        """Keep gradients that were there before the step, to be added to the step's."""
        self._accumulated = True
        for bucket in self._buckets:
            filled = bucket.filled()
            self._carried.append((bucket.grads, filled) if any(filled) else None)
        for index, carried in enumerate(self._carried):
            if carried is not None:
                self._use_fresh_buffer(index)

    def _fresh(self, index: int) -> GradBuffer:
        spare = self._spare[index]
        return spare.pop() if spare else self._buckets[index].new_grads()

    def _use_fresh_buffer(self, index: int) -> None:
        bucket = self._buckets[index]
        bucket.use_grads(self._fresh(index), [False] * len(bucket.params))

    def _push(self) -> None:
        """Add the gradients of the microbatch in the buckets, which is over, to the sums."""
        assert self._step is not None
        assert self._microbatch is not None
        sizes, index = self._step.sizes, self._microbatch.index
        self._statistics[index] = [list(norm.waiting_statistics) for norm in self._norms]
        for norm in self._norms:
            norm.waiting_statistics.clear()
        self._microbatch = None
        if not self._touched:
            return
        self._touched = False
        weight = 1 if len(set(sizes)) == 1 else sizes[index]
        for i, (bucket, total) in enumerate(zip(self._buckets, self._sums)):
            bucket.fill_missing()
            self._used[i] = [a or b for a, b in zip(self._used[i], bucket.filled())]
            if weight == 0:  # not a product: the gradients of no samples are NaN
                bucket.grads.flat[...] = 0
            elif weight != 1:
                bucket.grads.flat *= weight
            total.push(index, bucket.grads)
            self._use_fresh_buffer(i)
        self._next_index = index + 1

    def _skip_to(self, index: int) -> None:
        """Add zeros for the microbatches before `index` that brought nothing."""
        for missed in range(self._next_index, index):
            for i, total in enumerate(self._sums):
                zeros = self._fresh(i)
                zeros.flat[...] = 0
                total.push(missed, zeros)
        self._next_index = max(self._next_index, index)

    # --- at its end ---

    def _finish(self) -> None:
        """Agree with the other ranks, and leave the means in the buckets."""
        assert self._step is not None
        self._push()
        used = self._agree()
        if any(map(any, used)):
            if not self._accumulated:  # here no microbatch has brought a gradient
                self._set_aside()
            self._skip_to(run_of(self._comm.rank, self._comm.size, len(self._step.sizes))[1])
            for index in range(len(self._buckets)):
                self._reduce(index, used[index])
        self._reset()

    def _agree(self) -> list[list[bool]]:
        """Check that all ranks are at the same step, and fold their statistics.

        Returns which parameters of each bucket got a gradient on some rank.
        """
        assert self._step is not None
        place = (self._step.number, len(self._step.sizes))
        votes = self._comm.allgather((place, self._used, self._statistics))
        for rank, (theirs, _, _) in enumerate(votes):
            if theirs != votes[0][0]:
                raise DesyncError(
                    "DataParallel: the ranks are at different steps: rank 0 at step "
                    f"{votes[0][0][0]} of {votes[0][0][1]} microbatches, rank {rank} at step "
                    f"{theirs[0]} of {theirs[1]}"
                )
        statistics = {k: v for _, _, own in votes for k, v in own.items()}
        for index in sorted(statistics):
            for norm, waiting in zip(self._norms, statistics[index]):
                for mean, var in waiting:
                    norm.fold_statistics(mean, var)
        return [
            [any(flags) for flags in zip(*(used[i] for _, used, _ in votes))]
            for i in range(len(self._buckets))
        ]

    def _reduce(self, index: int, used: list[bool]) -> None:
        assert self._step is not None
        bucket, sizes = self._buckets[index], self._step.sizes
        blocks = [buffer for _, _, buffer in self._sums[index].blocks]
        divisor = len(sizes) if len(set(sizes)) == 1 else sum(sizes)
        self._comm.all_reduce([block.flat for block in blocks], blocks[0].flat, len(sizes), divisor)
        self._spare[index] += [*blocks[1:], bucket.grads]
        bucket.use_grads(blocks[0], used)
        carried = self._carried[index]
        if carried is not None:
            before, filled = carried
            for i, there in enumerate(filled):
                if there and used[i]:
                    bucket.grads.views[i]._array += before.views[i]._array
                elif there:
                    bucket.params[i]._grad = bucket.write_grad(i, before.views[i]._array)
            self._spare[index].append(before)
