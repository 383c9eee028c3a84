"""The position in the run: which microbatch of which step this rank runs, set by the DataLoader.

A global step is made of M microbatches; each rank runs a contiguous range of them. Random numbers,
gradients and statistics are keyed by the microbatch's index.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from dtrain.backend import default_generator
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.context import process, run_context
from dtrain.distributed.elastic.transaction import run_transaction


class StepCheck(Protocol):
    """Something that the ranks compare by the vote at the end of a step."""

    def claim(self) -> Any:
        """What this rank tells the others: a small object, the same on all ranks."""

    def require_same(self, comm: Communicator, claims: Sequence[Any]) -> None:
        """Compare the claims of all ranks, which all call this; raises DesyncError."""


@dataclass(frozen=True, eq=False)
class Step:
    """One optimizer step: its number since the run began, and the samples of its microbatches."""

    number: int
    sizes: tuple[int, ...]
    #: whether the loop body sees one microbatch, and the whole step ends with its backward pass
    ends_with_backward: bool
    #: whether each microbatch has one backward pass, which makes its gradients final
    one_backward: bool
    #: what the loader has the ranks compare at the end of this step
    check: StepCheck | None = None


class AssignedSamples(Protocol):
    """The samples that the loader has assigned to a microbatch."""

    @property
    def names(self) -> list[Any]:
        """Their indices in the dataset, or their positions in the stream."""


@dataclass(frozen=True, eq=False)
class Microbatch:
    """One microbatch of a step."""

    step: Step
    index: int
    #: its samples; None outside of a loader
    samples: AssignedSamples | None = None


def current_microbatch() -> Microbatch | None:
    """The microbatch whose loop body runs now; None outside any."""
    return run_context().microbatch


@contextmanager
def microbatch_scope(microbatch: Microbatch) -> Iterator[None]:
    """Context manager: random draws and statistics inside belong to `microbatch`."""
    context, generator = run_context(), default_generator()
    outer = context.microbatch
    position = generator.enter_microbatch(microbatch.step.number, microbatch.index)
    context.microbatch = microbatch
    try:
        yield
    finally:
        context.microbatch = outer
        generator.leave_microbatch(position)


def begin_step(step: Step) -> None:
    """Announce a step; the loader calls it before this rank's first microbatch."""
    run_context().has_sharded_steps = True
    if process.before_step is not None:
        process.before_step(step)


class StepReduction(Protocol):
    """Something that is reduced over the ranks at the end of each step, such as gradients."""

    def reduce_step(self, step: Step) -> None:
        """Reduce with the other ranks; this rank has run all its microbatches of the step."""

    def commit_step(self, step: Step) -> None:
        """Keep the results: all ranks have them."""

    def rollback_step(self, step: Step) -> None:
        """Return to the state before the step, which runs again because a rank failed."""


def register_step_reduction(reduction: StepReduction) -> None:
    """Call `reduction`, which is held weakly, at the end of each step on this rank."""
    run_context().step_reductions.append(weakref.ref(reduction))


def end_step(step: Step) -> bool:
    """Reduce over the ranks what they made in the step; False if it must run again.

    A step that ends with its backward pass cannot run again: a failed rank is a RankFailedError.
    """
    context = run_context()
    alive = [reduction for ref in context.step_reductions if (reduction := ref()) is not None]
    context.step_reductions = [weakref.ref(reduction) for reduction in alive]

    def reduce() -> None:
        for reduction in alive:
            reduction.reduce_step(step)

    def rollback() -> None:
        for reduction in alive:
            reduction.rollback_step(step)

    if step.ends_with_backward:
        reduce()
    elif not run_transaction(reduce, rollback):
        return False
    for reduction in alive:
        reduction.commit_step(step)
    return True
