"""Schedules of the learning rate (torch.optim.lr_scheduler).

A schedule goes from one learning rate to the next, so that several can act on one optimizer;
`_closed_form` gives the rate of any epoch, for those that start late.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.optim.optimizer import Optimizer


class LRScheduler:
    """The base class: `step()` once an epoch, or whatever the unit is (torch LRScheduler)."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: {type(optimizer).__name__} is not an Optimizer"
            )
        self.optimizer = optimizer
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"param group {index} has no 'initial_lr': needed with last_epoch")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def _next(self, lr: float, base: float, group: int) -> float:
        """The rate at `last_epoch`, from the one before."""
        raise NotImplementedError

    def _closed_form(self, base: float, group: int) -> float:
        """The rate at `last_epoch`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or to the one given."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for index, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs)):
            group["lr"] = (
                self._next(group["lr"], base, index)
                if epoch is None
                else self._closed_form(base, index)
            )
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rate of each param group after the last step."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, and functions given by the user."""
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in ("optimizer", "lr_lambdas", "_schedulers")
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.__dict__.update(state_dict)


class LambdaLR(LRScheduler):
    """The initial rate times a function of the epoch; a list gives one function a param group.

    A warm-up over ten steps is ``LambdaLR(optimizer, lambda step: min(1, (step + 1) / 10))``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: expected {groups} functions, got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, base: float, group: int) -> float:
        return base * self.lr_lambdas[group](self.last_epoch)

    def _next(self, lr: float, base: float, group: int) -> float:
        return self._closed_form(base, group)


class StepLR(LRScheduler):
    """The rate times `gamma` every `step_size` epochs."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, base: float, group: int) -> float:
        return base * self.gamma ** (self.last_epoch // self.step_size)

    def _next(self, lr: float, base: float, group: int) -> float:
        drops = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if drops else lr


class ExponentialLR(LRScheduler):
    """The rate times `gamma` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, base: float, group: int) -> float:
        return base * self.gamma**self.last_epoch

    def _next(self, lr: float, base: float, group: int) -> float:
        return lr * self.gamma if self.last_epoch > 0 else lr


class LinearLR(LRScheduler):
    """A factor that goes in a line from `start_factor` to `end_factor`: a warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                "LinearLR: expected 0 < start_factor <= 1 and 0 <= end_factor <= 1, got "
                f"{start_factor} and {end_factor}"
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        gone = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * gone

    def _closed_form(self, base: float, group: int) -> float:
        return base * self._factor(self.last_epoch)

    def _next(self, lr: float, base: float, group: int) -> float:
        if self.last_epoch == 0:
            return lr * self.start_factor
        return lr * self._factor(self.last_epoch) / self._factor(self.last_epoch - 1)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the initial rate to `eta_min` in `T_max` epochs (SGDR, without restarts;
    Loshchilov and Hutter 2016, equation 5)."""

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _cosine(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _closed_form(self, base: float, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * self._cosine(self.last_epoch) / 2

    def _next(self, lr: float, base: float, group: int) -> float:
        if self.last_epoch == 0:
            return lr
        before = self._cosine(self.last_epoch - 1)
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # at the bottom: go up
            return lr + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        return self._cosine(self.last_epoch) / before * (lr - self.eta_min) + self.eta_min


class SequentialLR(LRScheduler):
    """One schedule after another: the i-th ends, and the next begins, at `milestones[i]`."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ):
        if len(schedulers) != len(milestones) + 1:
            raise ValueError(
                f"SequentialLR: expected a milestone between every two schedules, got "
                f"{len(schedulers)} schedules and {len(milestones)} milestones"
            )
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("SequentialLR: the schedules are of another optimizer")
        self.optimizer = optimizer
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        for scheduler in schedulers:  # each has made a first step of its own: take it back
            scheduler.last_epoch -= 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._schedulers[0].step()
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch."""
        if epoch is not None:
            raise ValueError("SequentialLR: step() takes no epoch")
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        begins = index > 0 and self._milestones[index - 1] == self.last_epoch
        self._schedulers[index].step(0 if begins else None)
        self._last_lr = self._schedulers[index].get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, with the schedules' states."""
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        own = {key: value for key, value in state_dict.items() if key != "schedulers"}
        super().load_state_dict(own)
        for scheduler, state in zip(self._schedulers, state_dict["schedulers"]):
            scheduler.load_state_dict(state)
