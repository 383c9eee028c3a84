"""Where in the run this rank is: which microbatch of which step, set by the DataLoader.

A global step is made of `count` microbatches with `sizes` samples each; the ranks take them in
contiguous runs. Random numbers, gradients and statistics are keyed by their index.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from dtrain.backend import default_generator
from dtrain.distributed.elastic.transaction import run_transaction


@dataclass(frozen=True, eq=False)
class Step:
    """One optimizer step: its number since the run began, and the samples of its microbatches."""

    number: int
    sizes: tuple[int, ...]
    #: whether the loop body sees one microbatch, and the whole step ends with its backward pass
    ends_with_backward: bool
    #: whether each microbatch has one backward pass, so that what it has brought is final
    one_backward: bool


@dataclass(frozen=True, eq=False)
class Microbatch:
    """One microbatch of a step."""

    step: Step
    index: int


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.microbatch: Microbatch | None = None
        self.sums: list[weakref.ref[StepReduction]] = []


_here = _PerThread()


def current_microbatch() -> Microbatch | None:
    """The microbatch whose loop body runs now; None outside any."""
    return _here.microbatch


@contextmanager
def microbatch_scope(microbatch: Microbatch) -> Iterator[None]:
    """Be in a microbatch: what is drawn and recorded meanwhile belongs to it."""
    generator, outer = default_generator(), _here.microbatch
    place = generator.enter_microbatch(microbatch.step.number, microbatch.index)
    _here.microbatch = microbatch
    try:
        yield
    finally:
        _here.microbatch = outer
        generator.leave_microbatch(place)


#: called on every rank before its first microbatch of a step; set by `dtrain debug`
before_step: Callable[[Step], None] | None = None


def begin_step(step: Step) -> None:
    """To be called when this rank is about to be given its first microbatch of the step."""
    if before_step is not None:
        before_step(step)


class StepReduction(Protocol):
    """What is summed over the ranks at the end of a step."""

    def reduce_step(self, step: Step) -> None:
        """Sum with the other ranks; this rank has run all its microbatches of the step."""

    def commit_step(self, step: Step) -> None:
        """Keep the sums: all ranks have them."""

    def rollback_step(self, step: Step) -> None:
        """Be as before the step, which is done again: a rank was lost."""


def register_step_reduction(part: StepReduction) -> None:
    """Have `part`, which is held weakly, called at the end of each step on this rank."""
    _here.sums.append(weakref.ref(part))


def end_step(step: Step) -> bool:
    """Sum over the ranks what this rank has made in the step; False if it is to be done again.

    A step that ends with its backward pass cannot be done again: a loss is a RankFailedError.
    """
    sums = [part for reference in _here.sums if (part := reference()) is not None]
    _here.sums = [weakref.ref(part) for part in sums]

    def call(method: str) -> None:
        for part in sums:
            getattr(part, method)(step)

    if step.ends_with_backward:
        call("reduce_step")
    elif not run_transaction(lambda: call("reduce_step"), lambda: call("rollback_step")):
        return False
    call("commit_step")
    return True
