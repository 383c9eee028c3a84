"""The gradients of a sharded model: a unit's are reduced, scattered and freed once they are whole.

The order of additions is the reducer's, and with it the bits are those of DataParallel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from dtrain.autograd.bucket import GradBuffer
from dtrain.backend import Array, array_module
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.step import Step
from dtrain.nn import Module
from dtrain.parallel.bucket_layout import BucketLayout
from dtrain.parallel.bucket_reducer import BucketReducer, BufferPool
from dtrain.parallel.reducer import Reducer
from dtrain.parallel.sharding.bucket_shard import BucketShard, GradPart, order_parts
from dtrain.parallel.sharding.unit_precision import UnitPrecision


class ShardedBucketReducer(BucketReducer):
    """Makes the gradients in this rank's part of a bucket the mean over all samples of a step.

    A whole bucket of gradients exists from the first gradient of a backward pass to the exchange.
    """

    def __init__(self, shard: BucketShard):
        super().__init__(shard.bucket, exact=True)
        self._buffers = BufferPool(self.bucket.new_grads, keeps=False)
        self._sums = BufferPool(self.new_sum, keeps=False)
        self._part: Array | None = None
        #: of the last step; among other arrays its memory would be lost to fragmentation
        self._free_part: Array | None = None

    def set_aside(self) -> None:
        super().set_aside()
        if isinstance(self.bucket.grads, GradPart):
            self._free_part = self.bucket.grads.flat
            self._use_empty_buffer()

    def _exchange(self, comm: Communicator) -> None:
        super()._exchange(comm)
        total = self._sum.partials[0][2].flat[self.bucket.update_range]
        part, self._free_part = self._free_part, None
        if part is None or len(part) != len(total):
            part = array_module(total).empty(len(total), self.bucket.data.dtype)
        part[...] = total
        self._part = part

    def free_sum(self) -> None:
        """Free the sum over whole buckets; of a GPU after this stream waits for the reduction,
        since what it queues next may get the memory."""
        self._sum.partials = []

    def _take_result(self, used: list[bool]) -> GradBuffer:
        self.free_sum()
        part, self._part = self._part, None
        assert part is not None
        return GradPart(self.bucket, part)

    def _round_sum(self, total: GradBuffer) -> GradBuffer:
        return total

    def _add_preexisting(self, before: GradBuffer, filled: list[bool], used: list[bool]) -> None:
        if not isinstance(before, GradPart):
            before = GradPart(self.bucket, before.flat[self.bucket.update_range])
        super()._add_preexisting(before, filled, used)

    def roll_back(self) -> None:
        self._part = None
        super().roll_back()


class UnitLayout(BucketLayout):
    """The buckets of the units of a sharded model, which stay as they are.

    Parameters
    ----------
    module : the model
    shards : of its trainable parameters, in the order in which backward passes fill the buckets
    precisions : of its units
    comm : the ranks
    """

    def __init__(
        self,
        module: Module,
        shards: Sequence[BucketShard],
        precisions: Sequence[UnitPrecision],
        comm: Communicator,
    ):
        self.shards: Sequence[BucketShard] = shards
        self._precisions = precisions
        super().__init__(module, comm.empty, None, overlap=True, exact=True, compression=None)

    def find_changes(self) -> list[str]:
        if any(precision.replacements for precision in self._precisions):
            return self._missing  # a unit runs, with copies in place of its parameters
        return super().find_changes()

    def lay_out(self) -> None:
        """Take the buckets; refuses a later change of the model's parameters."""
        if not self.reducers:
            self.reducers: list[BucketReducer] = [ShardedBucketReducer(s) for s in self.shards]
            self._defer_buffer_updates()
        missing = self.find_changes()
        if missing:
            names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
            raise RuntimeError(
                f"fully_shard: {names} was added, replaced, unfrozen, or moved to another dtype or "
                "device after fully_shard took the module: change the module first, then shard it"
            )


class ShardedReducer(Reducer):
    """Reduces the buckets of a sharded model: over a network, and on GPUs, one of them while the
    next one fills, in host memory of one machine each of them before the next one fills.

    Before the vote at the end of a step a rank gives all its gradients away, so that no rank waits
    in its backward pass for one that votes.
    """

    def __init__(self, comm: Communicator, layout: UnitLayout):
        self._shards = layout.shards
        self._updates_values = False
        super().__init__(comm, layout, overlap=True)

    def _begin(self, step: Step) -> None:
        self._require_all_ranks()
        self._updates_values = False
        super()._begin(step)

    def _require_all_ranks(self) -> None:
        for shard in self._shards:
            shard.require_all_ranks()

    def _send(self, index: int) -> None:
        values = self._reducers[index].bucket.data
        if self._comm.over_network or not isinstance(values, np.ndarray):
            if self._in_flight:
                self._in_flight[-1].wait()
                self._free_sum(index - 1)
            super()._send(index)
            return
        # Memory is all there is to wait for: a thread would take its time from this one's.
        reducer = self._reducers[index]
        reducer.close()
        reduce = partial(self._reduce, index, self._thread_comm)
        self._in_flight.append(self._thread.run(reduce, values))
        self._free_sum(index)

    def _free_sum(self, index: int) -> None:
        reducer = self._reducers[index]
        assert isinstance(reducer, ShardedBucketReducer)
        reducer.free_sum()

    def _before_vote(self) -> None:
        if self._agreement.is_changed:
            return
        if not self._step_has_gradients:
            self._set_aside()
        for index in range(len(self._in_flight), len(self._reducers)):
            self._send(index)

    def _before_step(self) -> None:
        self._require_all_ranks()
        super()._before_step()
        if not all(shard.takes_writes for shard in self._shards):  # the first bucket of an update
            order_parts(self._shards, self._comm)
            for shard in self._shards:
                shard.allow_writes(True)
        if not self._updates_values:
            self._comm.barrier()  # a rank may still compute with the values, or copy them
            self._updates_values = True
