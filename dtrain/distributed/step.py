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

from dtrain.backend import default_generator


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
        self.on_end: list[weakref.WeakMethod] = []


_here = _PerThread()


def current_microbatch() -> Microbatch | None:
    """The microbatch whose loop body runs now; None outside any."""
    return _here.microbatch


@contextmanager
def inside(microbatch: Microbatch) -> Iterator[None]:
    """Be in a microbatch: what is drawn and recorded meanwhile belongs to it."""
    generator, outer = default_generator(), _here.microbatch
    place = generator.enter_microbatch(microbatch.step.number, microbatch.index)
    _here.microbatch = microbatch
    try:
        yield
    finally:
        _here.microbatch = outer
        generator.leave_microbatch(place)


def call_at_step_end(method: Callable[[Step], None]) -> None:
    """Call a bound method, held weakly, when this rank has run its microbatches of a step."""
    _here.on_end.append(weakref.WeakMethod(method))


def end_step(step: Step) -> None:
    """Tell whom it concerns that this rank has run all its microbatches of the step."""
    for reference in list(_here.on_end):
        method = reference()
        if method is None:
            _here.on_end.remove(reference)
        else:
            method(step)
