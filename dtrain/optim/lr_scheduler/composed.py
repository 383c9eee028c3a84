"""Schedules that combine other schedules: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.lr_scheduler.plateau import ReduceLROnPlateau
from dtrain.optim.optimizer import Optimizer


class _Composite(LRScheduler):
    """A schedule whose state includes the states of its member schedules."""

    _schedulers: list[LRScheduler]

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimizer, and the states of the member schedules."""
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the attributes and the states of the member schedules."""
        members, states = self._schedulers, state_dict["_schedulers"]
        if len(states) != len(members):
            raise ValueError(
                f"{type(self).__name__}: the state has {len(states)} member schedules, expected "
                f"{len(members)}"
            )
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(members, states):
            scheduler.load_state_dict(state)

    def _begin(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._restart()

    def _check_members(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer) -> None:
        name = type(self).__name__
        for index, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name}: schedule {index} is a {type(scheduler).__name__}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name}: schedule {index} is a ReduceLROnPlateau, whose step needs a metric: "
                    "call its step(metric) yourself beside this schedule"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{name}: schedule {index} is of another optimizer")


def _undo_first_step(scheduler: LRScheduler) -> None:
    """Undo the step that the constructor made, in all members of a schedule."""
    if isinstance(scheduler, _Composite):
        for member in scheduler._schedulers:
            _undo_first_step(member)
    else:
        scheduler.last_epoch -= 1


class SequentialLR(_Composite):
    """One schedule after another: schedule i + 1 replaces schedule i at epoch milestones[i]
    (torch.optim.lr_scheduler.SequentialLR).

    >>> import dtrain
    >>> optimizer = dtrain.optim.SGD([dtrain.zeros(1, requires_grad=True)], lr=1.0)
    >>> warm_up = dtrain.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> decay = dtrain.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1)
    >>> schedule = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    last_epoch: int

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ):
        self._check_members(schedulers, optimizer)
        if len(schedulers) != len(milestones) + 1:
            raise ValueError(
                f"SequentialLR: expected a milestone between every two schedules, got "
                f"{len(schedulers)} schedules and {len(milestones)} milestones"
            )
        self.optimizer = optimizer
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        _undo_first_step(self)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._restart()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch."""
        if epoch is not None:
            raise ValueError("SequentialLR: step() takes no epoch")
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._begin()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composite):
    """Several schedules that all act at each step, so that their factors multiply
    (torch.optim.lr_scheduler.ChainedScheduler).
    """

    optimizer: Optimizer

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if not schedulers:
            raise ValueError("ChainedScheduler: expected at least one schedule, got none")
        self.optimizer = optimizer or schedulers[0].optimizer
        self._check_members(schedulers, self.optimizer)
        self._schedulers = list(schedulers)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch."""
        if epoch is not None:
            raise ValueError("ChainedScheduler: step() takes no epoch")
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _restart(self) -> None:
        for scheduler in self._schedulers:
            scheduler._restart()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
