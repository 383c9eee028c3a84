"""The gradients of a step: made by microbatches, added by the tree, agreed on by all ranks.

Deferred buffer updates, such as the statistics of batch normalization, go the same way, but are
applied one after another in microbatch order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from dtrain.autograd.bucket import Bucket
from dtrain.autograd.graph import call_after_backward
from dtrain.backend.profiler import span
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.distributed.step import Microbatch, Step, current_microbatch
from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.call_site import find_call_site
from dtrain.errors import DesyncError
from dtrain.nn.deferred_updates import BufferUpdate, DeferredBufferUpdates
from dtrain.parallel.bucket_reducer import BucketReducer
from dtrain.parallel.divergence_check import DivergenceCheck


class Reducer:
    """Makes the gradients in some buckets the mean over all samples of each step.

    Parameters
    ----------
    comm : the ranks
    sums : of the buckets where backward passes put the gradients, in the order in which they fill
    layers : layers whose buffer updates are deferred to the end of a step
    overlap : send a bucket on its way when it is full, while the backward pass still runs
    check : compares the ranks' weights now and then, if they are to be compared
    """

    def __init__(
        self,
        comm: Communicator,
        sums: Sequence[BucketReducer],
        layers: Sequence[DeferredBufferUpdates],
        overlap: bool,
        check: DivergenceCheck | None = None,
    ):
        self._comm = comm
        self._sums = sums
        self._index_of = {total.bucket: index for index, total in enumerate(sums)}
        self._layers = layers
        self._overlap = overlap
        self._check = check
        if overlap:  # blocking calls in a fixed order, on a communicator of their own
            self._thread = ThreadPoolExecutor(
                1,
                "dtrain-reduction",
                initializer=timeline.start_recording,
                initargs=(comm, "reduction"),
            )
            self._thread_comm = comm.duplicate()
        # Outside a DataLoader a rank's backward pass is one of `size` equal microbatches.
        self._unnumbered = Microbatch(Step(-1, (1,) * comm.size, True, True), comm.rank)
        self._reset()
        for bucket in self._index_of:
            bucket.before_accumulate = self._before_accumulate
            bucket.before_step = self._before_step

    def _reset(self) -> None:
        self._step: Step | None = None
        self._microbatch: Microbatch | None = None  # whose gradients are in the buckets now
        self._accumulated = False  # whether this step's gradients have begun
        self._touched = False  # whether this microbatch's have
        self._in_flight: list[Future[None]] = []  # the reductions of the first buckets
        self._missing: list[int] = []  # gradients that each bucket waits for, where it may leave
        self._updates: dict[int, list[list[BufferUpdate]]] = {}  # of each microbatch and layer
        # what the ranks have agreed on: parameters in use, and updates for the layers
        self._used: list[list[bool]] = []
        self._agreed_updates: list[tuple[DeferredBufferUpdates, BufferUpdate]] = []

    # --- while a step runs ---

    def before_forward(self) -> None:
        """What comes now belongs to the microbatch that the loader is at."""
        self._enter(current_microbatch() or self._unnumbered)

    def _before_accumulate(self, bucket: Bucket) -> None:
        microbatch = current_microbatch() or self._unnumbered
        self._enter(microbatch)
        if not self._accumulated:
            self._set_aside()
        if not self._touched:
            self._touched = True
            if self._overlap and self._is_last(microbatch) and microbatch.step.one_backward:
                self._missing = [len(total.bucket.params) for total in self._sums]
        if microbatch.step.ends_with_backward:
            call_after_backward(self._finish)
        if self._missing:
            self._send_full_buckets()
            self._count(self._index_of[bucket])

    def _before_step(self) -> None:
        if self._accumulated:
            raise RuntimeError(
                "optimizer.step(): the gradients of this step are not summed over the ranks yet: "
                "run the loop over the step's microbatches to its end first"
            )

    def _enter(self, microbatch: Microbatch) -> None:
        if microbatch is self._microbatch:
            return
        if self._step is not None and self._step is not microbatch.step:
            self._abandon()
        if self._step is None:
            self._step = microbatch.step
            for total in self._sums:
                total.begin(self._comm.rank, self._comm.size, microbatch.step.sizes)
        elif self._microbatch is not None:
            self._push()
        self._microbatch = microbatch

    def _abandon(self) -> None:
        """Forget a step that was left before its end, as by a break: each rank has another part."""
        if self._in_flight:  # the other ranks are in these reductions, too
            self._reduce_rest()
        self._forget()

    def _forget(self) -> None:
        for total in self._sums:
            total.abandon(self._accumulated)
        for layer in self._layers:
            layer.pending_updates = []
        self._reset()

    def _set_aside(self) -> None:
        self._accumulated = True
        for total in self._sums:
            total.set_aside()

    def _push(self) -> None:
        """Add the gradients of the microbatch in the buckets, which is over, to the sums."""
        assert self._microbatch is not None
        index = self._microbatch.index
        self._updates[index] = [layer.pending_updates or [] for layer in self._layers]
        for layer in self._layers:
            layer.pending_updates = []
        self._microbatch = None
        if self._touched:
            self._touched = False
            for total in self._sums[len(self._in_flight) :]:
                total.push(index)

    # --- buckets that leave early ---

    def _is_last(self, microbatch: Microbatch) -> bool:
        """Whether this rank runs no microbatch of the step after this one."""
        sizes = microbatch.step.sizes
        _, end = microbatch_range(self._comm.rank, self._comm.size, len(sizes))
        return not any(sizes[microbatch.index + 1 : end])

    def _count(self, index: int) -> None:
        if index < len(self._in_flight):
            raise RuntimeError(
                "DataParallel: a second backward pass in a microbatch, after its gradients were "
                "sent to the other ranks: add the losses and call backward() once, or leave out "
                "one_backward=True in loader.steps()"
            )
        self._missing[index] -= 1

    def _send_full_buckets(self) -> None:
        """All ranks reduce the buckets in one order, so the first that is not full stops it."""
        assert self._microbatch is not None
        while (sent := len(self._in_flight)) < len(self._sums) and not self._missing[sent]:
            self._sums[sent].push(self._microbatch.index)
            self._send(sent)

    def _send(self, index: int) -> None:
        self._sums[index].close()
        reduction = self._thread.submit(self._reduce, index, self._thread_comm)
        self._in_flight.append(reduction)

    def _reduce(self, index: int, comm: Communicator) -> None:
        with span("reduce bucket", index):
            self._sums[index].reduce(comm)

    # --- at its end ---

    def _finish(self) -> None:
        assert self._step is not None
        step = self._step
        self.reduce_step(step)
        self.commit_step(step)

    def reduce_step(self, step: Step) -> None:
        """Agree with the other ranks, and have the means of all gradients."""
        if self._step is not step:
            return
        self._push()
        self._used, self._agreed_updates = self._agree()
        if any(map(any, self._used)):
            if not self._accumulated:  # here no microbatch has brought a gradient
                self._set_aside()
            self._reduce_rest()

    def commit_step(self, step: Step) -> None:
        """Leave the means in the buckets, and apply the deferred buffer updates."""
        if self._step is not step:
            return
        for layer, update in self._agreed_updates:
            layer.apply_update(update)
        if any(map(any, self._used)):
            for total, flags in zip(self._sums, self._used):
                total.leave_result(flags)
        self._reset()

    def rollback_step(self, step: Step) -> None:
        """Be as before the step."""
        if self._step is step:
            wait(self._in_flight)
            self._forget()

    def _reduce_rest(self) -> None:
        rest = range(len(self._in_flight), len(self._sums))
        if self._overlap:
            for index in rest:
                self._send(index)
            for index, reduction in enumerate(self._in_flight):
                with span("wait for bucket", index):
                    reduction.result()
        else:
            for index in rest:
                self._sums[index].close()
                self._reduce(index, self._comm)

    def _agree(self) -> tuple[list[list[bool]], list[tuple[DeferredBufferUpdates, BufferUpdate]]]:
        """Check that all ranks are at the same step.

        Returns which parameters of each bucket got a gradient on some rank, and the buffer
        updates of all ranks with their layers, in microbatch order.
        """
        assert self._step is not None
        place = (self._step.number, len(self._step.sizes))
        own = [total.used for total in self._sums]
        digest = self._check and self._check.digest(self._step)
        vote = (place, own, self._updates, digest)
        votes = self._comm.allgather(vote, "the end of a step")
        if any(theirs != place for theirs, *_ in votes):
            sites = self._comm.allgather(find_call_site(sys._getframe()), "a line")
            raise DesyncError(
                "DataParallel: the ranks are at different steps: "
                + ", ".join(
                    f"rank {rank} at step {number} of {count} microbatches ({site})"
                    for rank, (((number, count), *_), site) in enumerate(zip(votes, sites))
                )
            )
        if self._check is not None:
            self._check.compare([digest for *_, digest in votes], self._step)
        by_microbatch = {k: v for _, _, own, _ in votes for k, v in own.items()}
        updates = [
            (layer, update)
            for index in sorted(by_microbatch)
            for layer, own in zip(self._layers, by_microbatch[index])
            for update in own
        ]
        used = [
            [any(flags) for flags in zip(*(used[i] for _, used, *_ in votes))]
            for i in range(len(self._sums))
        ]
        return used, updates
