"""Loads the batches of the coming steps, in order, while the program computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from dtrain.data.assignment import Samples
from dtrain.data.batches import BatchTask


class Workers(Protocol):
    """Worker threads or processes."""

    is_broken: bool  # one has died or does not answer

    def submit(self, task: BatchTask) -> int:
        """Have a worker make a batch; returns its ticket."""

    def result(self, ticket: int) -> Any:
        """Wait for a batch; each is given once."""

    def forget(self, ticket: int) -> None:
        """Drop a batch that nobody will ask for."""

    def close(self) -> None:
        """End the workers."""


class Lookahead:
    """An epoch's steps; workers load this rank's batches before the program asks for them.

    Parameters
    ----------
    workers : load the batches
    steps : the microbatches of each step
    own : gives the range of microbatches that this rank runs
    dataset : the workers load its samples, and no samples of other sources
    make_task : makes a task of a microbatch's samples
    steps_ahead, batches_ahead : how far the steps are read ahead, the same on all ranks because
        they may communicate; and how many batches are loaded ahead
    """

    def __init__(
        self,
        workers: Workers,
        steps: Iterator[list[Samples]],
        own: Callable[[], tuple[int, int]],
        dataset: Any,
        make_task: Callable[[Samples], BatchTask],
        steps_ahead: int,
        batches_ahead: int,
    ):
        self._workers, self._steps, self._own = workers, steps, own
        self._dataset, self._make_task = dataset, make_task
        self._steps_ahead, self._batches_ahead = steps_ahead, batches_ahead
        self._read: deque[list[Samples]] = deque()
        self._to_submit: deque[Samples] = deque()
        #: by the identity of the samples, which are in `_read`, or those of the current step
        self._tickets: dict[int, int] = {}
        self._current: list[Samples] = []

    def __iter__(self) -> Iterator[list[Samples]]:
        while True:
            self._read_ahead()
            if not self._read:
                return
            self._current = self._read.popleft()
            self._submit()
            yield self._current
            for samples in self._current:  # other ranks ran them
                if (ticket := self._tickets.pop(id(samples), None)) is not None:
                    self._workers.forget(ticket)
                self._remove(samples)

    def _read_ahead(self) -> None:
        while len(self._read) <= self._steps_ahead and (step := next(self._steps, None)):
            low, high = self._own()
            filled = [s for s in step[low:high] if len(s.indices)] or step[low : low + 1]
            self._to_submit += [s for s in filled if s.source is self._dataset]
            self._read.append(step)

    def _submit(self) -> None:
        while self._to_submit and len(self._tickets) < self._batches_ahead:
            samples = self._to_submit.popleft()
            self._tickets[id(samples)] = self._workers.submit(self._make_task(samples))

    def load(self, samples: Samples) -> Any:
        """The batch of a microbatch of the current step."""
        ticket = self._tickets.pop(id(samples), None)
        if ticket is None:  # taken over from a failed rank, or loaded again
            ticket = self._workers.submit(self._make_task(samples))
            self._remove(samples)
        self._submit()
        return self._workers.result(ticket)

    def _remove(self, samples: Samples) -> None:
        self._to_submit = deque(s for s in self._to_submit if s is not samples)

    def close(self) -> None:
        """Drop the batches that were loaded ahead."""
        for ticket in self._tickets.values():
            self._workers.forget(ticket)
        self._tickets.clear()
