"""`Metric`, a figure over the samples of all ranks.

Counts are integers and sums are exact, so a metric has the same bits on any number of ranks. Ranks
exchange nothing before `compute`; under ``--elastic`` they do at the end of each step, so that
what a failed rank had counted is not lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from dtrain.distributed import recoverable, world
from dtrain.distributed.comm.blocks import allgather_in_blocks
from dtrain.distributed.step import Step, current_microbatch, register_step_reduction

S = TypeVar("S")


class Metric(ABC, Generic[S]):
    """A figure of all samples that the ranks have seen since `reset`.

    A metric of your own says how its state begins, how two states become one and what figure a
    state has; its `update` calls `add` with the state of a batch.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain.train import Metric
    >>> class Largest(Metric):
    ...     def initial_state(self):
    ...         return float("-inf")
    ...
    ...     def merge(self, state, other):
    ...         return max(state, other)
    ...
    ...     def figure(self, state):
    ...         return state
    ...
    ...     def update(self, values):
    ...         self.add(values.max().item())
    >>> largest = Largest()
    >>> largest.update(dtrain.tensor([1.0, 3.0]))
    >>> largest.compute()
    3.0
    """

    def __init__(self) -> None:
        self.reset()
        register_step_reduction(self)

    @abstractmethod
    def initial_state(self) -> S:
        """The state before any sample."""

    @abstractmethod
    def merge(self, state: S, other: S) -> S:
        """The state of the samples of both; exact, so that no order of merging matters."""

    @abstractmethod
    def figure(self, state: S) -> Any:
        """What `compute` returns for the state of all samples."""

    def reset(self) -> None:
        """Forget all samples."""
        self._own = self.initial_state()  # this rank's
        self._shared = self.initial_state()  # all ranks', which they have exchanged
        self._step = self.initial_state()  # this rank's in a step that may have to run again
        self._consolidated: S | None = None

    def add(self, state: S) -> None:
        """Count the samples of a batch of this rank."""
        if current_microbatch() is None:
            self._own = self.merge(self._own, state)
        else:
            self._step = self.merge(self._step, state)

    def compute(self) -> Any:
        """The figure over the samples of all ranks, the same on each; every rank calls it."""
        return self.figure(self._merge_ranks(self.merge(self._own, self._step), self._shared))

    def compute_own(self) -> Any:
        """The figure over this rank's samples alone, without waiting for another rank."""
        return self.figure(self.merge(self.merge(self._own, self._step), self._shared))

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather all ranks' samples for `state_dict`; every rank calls it."""
        own = self.merge(self._own, self._step)
        self._consolidated = self._merge_ranks(own, self._shared)

    def state_dict(self) -> dict[str, Any]:
        """The samples of all ranks after `consolidate_state_dict`, else this rank's."""
        state, self._consolidated = self._consolidated, None
        if state is None:
            state = self.merge(self.merge(self._own, self._step), self._shared)
        return {"state": self.pack(self.to_host(state))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned; every rank loads the same."""
        state = self.unpack(state_dict["state"])
        self.reset()
        self._shared = state

    def reduce_step(self, step: Step) -> None:
        """Under ``--elastic`` exchange the step's states (see `StepReduction`)."""
        if world.communicator().elastic:
            self._reduced = self._merge_ranks(self._step, self._shared)

    def commit_step(self, step: Step) -> None:
        """Count the step."""
        if world.communicator().elastic:
            self._shared = self._reduced
        else:
            self._own = self.merge(self._own, self._step)
        self._step = self.initial_state()

    def rollback_step(self, step: Step) -> None:
        """Forget the step, which runs again."""
        self._step = self.initial_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy takes part in the steps of the rank that made it."""
        self.__dict__.update(state)
        register_step_reduction(self)

    @recoverable
    def _merge_ranks(self, own: S, shared: S) -> S:
        for state in allgather_in_blocks(world.communicator(), self.to_host(own)):
            shared = self.merge(shared, state)
        return shared

    def to_host(self, state: S) -> S:
        """The state without device arrays, as it is sent to other ranks."""
        return state

    def pack(self, state: S) -> Any:
        """The state as numbers, arrays and containers of them, for a checkpoint."""
        return state

    def unpack(self, packed: Any) -> S:
        """The state that `pack` made to this."""
        return packed
