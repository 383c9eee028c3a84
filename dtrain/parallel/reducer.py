"""The gradients of a step: accumulated by microbatch, reduced over the ranks, committed together.

Deferred buffer updates, such as the statistics of batch normalization, go the same way, but are
applied one after another in microbatch order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from dtrain.autograd.backward_pass import call_after_backward
from dtrain.autograd.bucket import Bucket
from dtrain.autograd.parameter_changes import parameter_changes
from dtrain.backend.capture import refuse_capture
from dtrain.backend.profiler import span
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import microbatch_range
from dtrain.distributed.step import Microbatch, Step, current_microbatch
from dtrain.distributed.watchdog.call_site import find_call_site
from dtrain.errors import DesyncError
from dtrain.nn.deferred_updates import BufferUpdate, DeferredBufferUpdates
from dtrain.parallel import device_updates
from dtrain.parallel.bucket_layout import BucketLayout
from dtrain.parallel.bucket_reducer import BucketReducer
from dtrain.parallel.divergence_check import make_divergence_check
from dtrain.parallel.loss_recorder import LossRecorder
from dtrain.parallel.model_agreement import Claim, ModelAgreement, mid_step_error
from dtrain.parallel.non_finite_check import Finding, NonFiniteCheck
from dtrain.parallel.reduction_thread import Reduction, ReductionThread


class _Vote(NamedTuple):
    """What a rank tells the others at the end of a step."""

    step: int
    microbatches: int  # of the step, on all ranks
    used: list[list[bool]]  # by bucket: which parameters have got a gradient here
    updates: dict[int, list[list[BufferUpdate]]]  # by microbatch and layer
    digest: bytes | None  # of weights and optimizer state, if they are compared in this step
    claim: Claim  # what this rank's model and optimizers are
    of_step: Any  # the claim of the step's own check, if it has one
    losses: dict[int, float] | None  # by microbatch, if their mean is wanted
    finding: Finding | None  # the first NaN or infinity, if they are looked for


class Reducer:
    """Makes the gradients in the buckets of a model the mean over all samples of each step.

    A step on one rank, as methods of `BucketReducer`: `begin` at the first forward pass,
    `set_aside` at the first gradient, `push` when the next microbatch begins, `close` and `reduce`
    at the end of the step or, with overlap, when a bucket is full, and `commit` when all ranks
    have voted and reduced; `roll_back` where a rank failed or the step was left.

    Parameters
    ----------
    comm : the ranks
    layout : the buckets, their reducers, and the layers whose buffer updates are deferred
    overlap : reduce a bucket as soon as it is full, while the backward pass still runs
    is_copy : whether the model is not known to be the same on all ranks, so that the first vote
        compares it
    """

    _reducers: Sequence[BucketReducer]
    _layers: Sequence[DeferredBufferUpdates]

    def __init__(
        self,
        comm: Communicator,
        layout: BucketLayout,
        overlap: bool,
        is_copy: bool = False,
    ):
        self._comm = comm
        self._layout = layout
        self._agreement = ModelAgreement(comm, layout, is_copy)
        self._overlap = overlap
        self._check = make_divergence_check(comm, layout)
        #: whether gradients of the current backward pass are reduced; where not, they are added to
        #: this rank's gradients alone
        self.is_enabled: Callable[[], bool] = _always
        #: called on all ranks at the end of each step
        self.on_commit: Callable[[], None] | None = None
        if overlap:  # blocking calls in a fixed order, on a communicator of their own
            self._thread = ReductionThread(comm)
            self._thread_comm = comm.duplicate()
        # Outside a DataLoader a rank's backward pass is one of `size` equal microbatches.
        self._unnumbered = Microbatch(Step(-1, (1,) * comm.size, True, True), comm.rank)
        self._losses = LossRecorder(self._unnumbered)
        self._non_finite: NonFiniteCheck | None = None
        if self._check is not None:
            self._non_finite = NonFiniteCheck(layout, comm.rank, self._unnumbered)
        self._reset()
        self._use_layout()

    def _use_layout(self) -> None:
        """Reduce the buckets of the layout from now on."""
        self._reducers, self._layers = self._layout.reducers, self._layout.layers
        self._index_of = {reducer.bucket: index for index, reducer in enumerate(self._reducers)}
        for bucket in self._index_of:
            bucket.before_write = self._before_write
            bucket.before_accumulate = self._before_accumulate
            bucket.before_step = self._before_step
            bucket.loss_mean = self._losses

    def _reset(self) -> None:
        self._step: Step | None = None
        self._microbatch: Microbatch | None = None  # whose gradients are in the buckets now
        self._step_has_gradients = False
        self._microbatch_has_gradients = False
        self._in_flight: list[Reduction] = []  # of the first buckets
        #: how many gradients each bucket still waits for, in a backward pass with overlap
        self._missing: list[int] = []
        self._updates: dict[int, list[list[BufferUpdate]]] = {}  # by microbatch and layer
        #: what the ranks have agreed on: parameters in use, and updates for the layers
        self._used: list[list[bool]] = []
        self._agreed_updates: list[tuple[DeferredBufferUpdates, BufferUpdate]] = []

    # --- while a step runs ---

    def before_forward(self) -> None:
        """Note that the forward pass belongs to the loader's current microbatch."""
        microbatch = current_microbatch() or self._unnumbered
        if self._layout.seen != parameter_changes.count:
            if self._step is not None and self._step is not microbatch.step:
                self._leave_step()
            self.follow_changes()
        self._enter(microbatch)

    def follow_changes(self) -> None:
        """Lay the buckets out anew if there are trainable parameters in none of them.

        Raises
        ------
        RuntimeError
            If the step has gradients already.
        """
        missing = self._layout.find_changes()
        if not missing:
            return
        if self._step_has_gradients or self._updates:
            raise mid_step_error(missing)
        for reducer in self._reducers:
            reducer.roll_back()  # at most a forward pass was begun
        self._layout.lay_out()
        self._use_layout()
        self._agreement.note_change()
        if self._step is not None:
            self._begin(self._step)

    def _before_write(self) -> None:
        """Have the buckets' memory be that of the current microbatch's gradients."""
        if self._losses.current is not None:
            self._losses.record()
        if not self.is_enabled():
            return
        microbatch = current_microbatch() or self._unnumbered
        self._enter(microbatch)
        if not self._step_has_gradients:
            self._set_aside()
        if not self._microbatch_has_gradients:
            self._microbatch_has_gradients = True
            if (
                self._overlap
                and not self._agreement.is_changed  # the others' buckets may be different
                and self._is_last(microbatch)
                and microbatch.step.one_backward
            ):
                self._missing = [len(reducer.bucket.params) for reducer in self._reducers]
        if microbatch.step.ends_with_backward:
            call_after_backward(self._finish_step)

    def _before_accumulate(self, bucket: Bucket) -> None:
        if self._missing and self.is_enabled():
            self._send_full_buckets()
            self._count_gradient(self._index_of[bucket])

    def _before_step(self) -> None:
        if self._step_has_gradients:
            raise RuntimeError(
                "optimizer.step(): the gradients of this step are not summed over the ranks yet: "
                "run the loop over the step's microbatches to its end first"
            )

    def _enter(self, microbatch: Microbatch) -> None:
        """Go on to `microbatch`, of this step or of a new one."""
        if microbatch is self._microbatch:
            return
        if self._step is not None and self._step is not microbatch.step:
            self._leave_step()
        if self._step is None:
            self._begin(microbatch.step)
        elif self._microbatch is not None:
            self._push()
        self._microbatch = microbatch

    def _begin(self, step: Step) -> None:
        self._step = step
        for reducer in self._reducers:
            reducer.begin(self._comm.rank, self._comm.size, step.sizes)

    def _leave_step(self) -> None:
        """Forget a step that the program left before its end, as by a break."""
        if self._in_flight:  # the other ranks are in these reductions, too
            self._reduce_remaining()
        self._roll_back()

    def _roll_back(self) -> None:
        for reducer in self._reducers:
            reducer.roll_back()
        for layer in self._layers:
            layer.pending_updates = []
        self._losses.forget()
        self._reset()

    def _set_aside(self) -> None:
        self._step_has_gradients = True
        for reducer in self._reducers:
            reducer.set_aside()

    def _push(self) -> None:
        """Add the gradients of the current microbatch, which is over, to the partial sums."""
        assert self._microbatch is not None
        microbatch, index = self._microbatch, self._microbatch.index
        self._updates[index] = [layer.pending_updates or [] for layer in self._layers]
        for layer in self._layers:
            layer.pending_updates = []
        self._microbatch = None
        if self._microbatch_has_gradients:
            self._microbatch_has_gradients = False
            for reducer in self._reducers[len(self._in_flight) :]:
                self._push_bucket(reducer, microbatch)

    def _push_bucket(self, reducer: BucketReducer, microbatch: Microbatch) -> None:
        if self._non_finite is not None:
            self._non_finite.check_gradients(reducer.bucket, microbatch)
        reducer.push(microbatch.index)

    # --- overlap: buckets that are reduced while the backward pass runs ---

    def _is_last(self, microbatch: Microbatch) -> bool:
        """Whether this rank runs no microbatch of the step after this one."""
        sizes = microbatch.step.sizes
        _, end = microbatch_range(self._comm.rank, self._comm.size, len(sizes))
        return not any(sizes[microbatch.index + 1 : end])

    def _count_gradient(self, index: int) -> None:
        if index < len(self._in_flight):
            raise RuntimeError(
                "DataParallel: a second backward pass in a microbatch, after its gradients were "
                "sent to the other ranks: add the losses and call backward() once, or omit "
                "one_backward=True in loader.steps()"
            )
        self._missing[index] -= 1

    def _send_full_buckets(self) -> None:
        """Reduce full buckets; all ranks keep one order, so none overtakes one that is not full."""
        assert self._microbatch is not None
        while (sent := len(self._in_flight)) < len(self._reducers) and not self._missing[sent]:
            self._push_bucket(self._reducers[sent], self._microbatch)
            self._send(sent)

    def _send(self, index: int) -> None:
        reducer = self._reducers[index]
        reducer.close()
        reduce = partial(self._reduce, index, self._thread_comm)
        self._in_flight.append(self._thread.start(reduce, reducer.bucket.data))

    def _reduce(self, index: int, comm: Communicator) -> None:
        with span("reduce bucket", index):
            self._reducers[index].reduce(comm)

    # --- at the end of a step ---

    def _finish_step(self) -> None:
        assert self._step is not None
        step = self._step
        self.reduce_step(step)
        self.commit_step(step)

    def reduce_step(self, step: Step) -> None:
        """Vote with the other ranks, and reduce all gradients; the buckets stay as they are."""
        if self._step is not step:
            return
        self._push()
        self._before_vote()
        self._used, self._agreed_updates = self._vote()
        if any(map(any, self._used)) or self._in_flight:
            if not self._step_has_gradients:  # other ranks have some
                self._set_aside()
            self._reduce_remaining()

    def _before_vote(self) -> None:
        """Send what need not wait for the vote."""

    def commit_step(self, step: Step) -> None:
        """Put the mean gradients into the buckets, and apply the deferred buffer updates."""
        if self._step is not step:
            return
        for layer, update in self._agreed_updates:
            layer.apply_update(update)
        any_used = any(map(any, self._used))
        for reducer, used in zip(self._reducers, self._used):
            if any_used:
                reducer.commit(used)
            else:  # no rank has a gradient: nothing was reduced
                reducer.roll_back()
        self._losses.commit()
        self._reset()
        if self.on_commit is not None:
            self.on_commit()

    def rollback_step(self, step: Step) -> None:
        """Restore gradients and buffers to those before the step, which is run again."""
        if self._step is step:
            for reduction in self._in_flight:
                reduction.wait_for_end()
            self._roll_back()

    def _reduce_remaining(self) -> None:
        """Reduce the buckets that are not in flight yet, and wait for all."""
        remaining = range(len(self._in_flight), len(self._reducers))
        if self._overlap:
            for index in remaining:
                self._send(index)
            for index, reduction in enumerate(self._in_flight):
                with span("wait for bucket", index):
                    reduction.wait()
        else:
            for index in remaining:
                self._reducers[index].close()
                self._reduce(index, self._comm)

    def _vote(self) -> tuple[list[list[bool]], list[tuple[DeferredBufferUpdates, BufferUpdate]]]:
        """Exchange votes, and check that all ranks are at the same step.

        Returns which parameters of each bucket got a gradient on some rank, and the buffer
        updates of all ranks with their layers, in microbatch order.
        """
        assert self._step is not None
        if self._comm.size > 1:
            refuse_capture("ranks vote in a step: use DataParallel(module, cuda_graph=True)")
        step = self._step
        used = [reducer.used for reducer in self._reducers]
        digest = self._check.digest(step) if self._check is not None else None
        claim = tuple(self._agreement.claim())
        of_step = None if step.check is None else step.check.claim()
        finding = None if self._non_finite is None else self._non_finite.take_finding()
        losses = self._losses.take()
        of_rank = (digest, claim, of_step, losses, finding)
        updates, on_device = self._updates, list[Any]()
        if gathers := self._comm.size > 1 and bool(self._reducers):
            updates, on_device = device_updates.take_out(self._updates)
        vote = (step.number, len(step.sizes), used, updates, *of_rank)
        votes = [_Vote(*v) for v in self._comm.allgather(vote, "the end of a step")]
        self._require_same_step(votes)
        if step.check is not None and all(vote.of_step is not None for vote in votes):
            step.check.require_same(self._comm, [vote.of_step for vote in votes])
        self._agreement.require_same([Claim(*vote.claim) for vote in votes], step)
        self._losses.average([vote.losses for vote in votes], step.sizes)
        if self._non_finite is not None:
            self._non_finite.report([vote.finding for vote in votes], step)
        if self._check is not None:
            self._check.compare([vote.digest for vote in votes], step)
        every = [vote.updates for vote in votes]
        if gathers:
            like = self._reducers[0].bucket.data
            every = device_updates.gather(self._comm, every, on_device, like)
        by_microbatch = {index: own for of_rank in every for index, own in of_rank.items()}
        agreed = [
            (layer, update)
            for index in sorted(by_microbatch)
            for layer, own in zip(self._layers, by_microbatch[index])
            for update in own
        ]
        anywhere = [
            [any(flags) for flags in zip(*(vote.used[i] for vote in votes))]
            for i in range(len(self._reducers))
        ]
        return anywhere, agreed

    def _require_same_step(self, votes: Sequence[_Vote]) -> None:
        if len({(vote.step, vote.microbatches) for vote in votes}) == 1:
            return
        sites = self._comm.allgather(find_call_site(sys._getframe()), "a line")
        raise DesyncError(
            "DataParallel: the ranks are at different steps: "
            + ", ".join(
                f"rank {rank} at step {vote.step} of {vote.microbatches} microbatches ({site})"
                for rank, (vote, site) in enumerate(zip(votes, sites))
            )
        )


def _always() -> bool:
    return True
