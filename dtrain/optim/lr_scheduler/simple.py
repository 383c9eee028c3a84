"""Schedules by factors: functions of the epoch, steps, lines, powers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.optimizer import Optimizer


def _one_a_group(name: str, optimizer: Optimizer, given: Callable | Sequence[Callable]) -> list:
    groups = len(optimizer.param_groups)
    functions = [given] * groups if callable(given) else list(given)
    if len(functions) != groups:
        raise ValueError(f"{name}: expected {groups} functions, got {len(functions)}")
    return functions


class LambdaLR(LRScheduler):
    """The initial rate times a function of the epoch; a list gives one function a param group.

    A warm-up over ten steps is ``LambdaLR(optimizer, lambda step: min(1, (step + 1) / 10))``.
    """

    _functions = ("lr_lambdas",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = _one_a_group("LambdaLR", optimizer, lr_lambda)
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


class MultiplicativeLR(LRScheduler):
    """The rate before, times a function of the epoch."""

    _functions = ("lr_lambdas",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = _one_a_group("MultiplicativeLR", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float, group: int) -> float:
        return lr * self.lr_lambdas[group](self.last_epoch) if self.last_epoch > 0 else lr


class MultiStepLR(LRScheduler):
    """The rate times `gamma` at each of the milestones."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, base: float, group: int) -> float:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return base * self.gamma**passed

    def _next(self, lr: float, base: float, group: int) -> float:
        times = self.milestones[self.last_epoch]
        return lr * self.gamma**times if times else lr


class ConstantLR(LRScheduler):
    """The rate times `factor`, until `total_iters`."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: expected 0 <= factor <= 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, base: float, group: int) -> float:
        return base * (1 if self.last_epoch >= self.total_iters else self.factor)

    def _next(self, lr: float, base: float, group: int) -> float:
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1 / self.factor) if self.last_epoch == self.total_iters else lr


class PolynomialLR(LRScheduler):
    """From the initial rate to 0 in `total_iters` epochs, along a power of what is left."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _left(self, epoch: int) -> float:
        return 1 - min(epoch, self.total_iters) / self.total_iters

    def _closed_form(self, base: float, group: int) -> float:
        return base * self._left(self.last_epoch) ** self.power

    def _next(self, lr: float, base: float, group: int) -> float:
        if self.last_epoch == 0 or self.last_epoch > self.total_iters:
            return lr
        return lr * (self._left(self.last_epoch) / self._left(self.last_epoch - 1)) ** self.power


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
