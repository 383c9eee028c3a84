"""Schedules that multiply the rate by a factor: functions of the epoch, steps, lines, powers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number

Factor = Callable[[int], float]


def _per_group(name: str, optimizer: Optimizer, given: Factor | Sequence[Factor]) -> list[Factor]:
    groups = len(optimizer.param_groups)
    functions: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given] * groups
    for function in functions:
        if not callable(function):
            raise TypeError(f"{name}: expected functions of the epoch, got {function!r}")
    if len(functions) != groups:
        raise ValueError(f"{name}: expected {groups} functions, got {len(functions)}")
    return functions


class LambdaLR(LRScheduler):
    """lr = initial * lr_lambda(epoch); or one function for each parameter group
    (torch.optim.lr_scheduler.LambdaLR).

    A warm-up over ten steps is ``LambdaLR(optimizer, lambda step: min(1, (step + 1) / 10))``.
    """

    lr_lambdas: list[Factor]
    _functions = ("lr_lambdas",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Factor | Sequence[Factor],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = _per_group("LambdaLR", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, group: int) -> float:
        return self._base(group) * self._of_group(self.lr_lambdas, group)(self.last_epoch)

    def _next(self, lr: float, group: int) -> float:
        return self._closed_form(group)


class StepLR(LRScheduler):
    """lr = initial * gamma^floor(epoch / step_size) (torch.optim.lr_scheduler.StepLR)."""

    step_size: int
    gamma: float

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        if step_size == 0:
            raise ValueError("StepLR: expected step_size >= 1, got 0")
        self.step_size, self.gamma = step_size, as_number("StepLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, group: int) -> float:
        return self._base(group) * self.gamma ** (self.last_epoch // self.step_size)

    def _next(self, lr: float, group: int) -> float:
        drops = self.last_epoch != 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if drops else lr


class MultiplicativeLR(LRScheduler):
    """lr = previous * lr_lambda(epoch) (torch.optim.lr_scheduler.MultiplicativeLR)."""

    lr_lambdas: list[Factor]
    _functions = ("lr_lambdas",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Factor | Sequence[Factor],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = _per_group("MultiplicativeLR", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        function = self._of_group(self.lr_lambdas, group)
        return lr if self._is_initial else lr * function(self.last_epoch)


class MultiStepLR(LRScheduler):
    """lr = previous * gamma at each milestone (torch.optim.lr_scheduler.MultiStepLR)."""

    milestones: Counter[int]
    gamma: float

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones = Counter(map(_whole, milestones))
        self.gamma = as_number("MultiStepLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, group: int) -> float:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return self._base(group) * self.gamma**passed

    def _next(self, lr: float, group: int) -> float:
        times = self.milestones[self.last_epoch]
        return lr * self.gamma**times if times else lr

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the attributes; a file has the milestones as a plain dict."""
        super().load_state_dict(state_dict)
        self.milestones = Counter({int(key): n for key, n in dict(self.milestones).items()})


def _whole(milestone: Any) -> int:
    number = as_number("MultiStepLR: milestone", milestone)
    if number != int(number):
        raise ValueError(f"MultiStepLR: expected whole milestones, got {number}: no epoch is it")
    return int(number)


class ConstantLR(LRScheduler):
    """lr = initial * factor before epoch total_iters (torch.optim.lr_scheduler.ConstantLR)."""

    factor: float
    total_iters: int

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        factor = as_number("ConstantLR: factor", factor)
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: expected 0 <= factor <= 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, group: int) -> float:
        return self._base(group) * (1 if self.last_epoch >= self.total_iters else self.factor)

    def _next(self, lr: float, group: int) -> float:
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1 / self.factor) if self.last_epoch == self.total_iters else lr


class PolynomialLR(LRScheduler):
    """lr = initial * (1 - epoch / total_iters)^power, then 0
    (torch.optim.lr_scheduler.PolynomialLR).
    """

    total_iters: int
    power: float

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ):
        self.total_iters, self.power = total_iters, as_number("PolynomialLR: power", power)
        super().__init__(optimizer, last_epoch)

    def _left(self, epoch: int) -> float:
        return 1 - min(epoch, self.total_iters) / self.total_iters

    def _closed_form(self, group: int) -> float:
        return self._base(group) * self._left(self.last_epoch) ** self.power

    def _next(self, lr: float, group: int) -> float:
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        return lr * (self._left(self.last_epoch) / self._left(self.last_epoch - 1)) ** self.power


class ExponentialLR(LRScheduler):
    """lr = initial * gamma^epoch (torch.optim.lr_scheduler.ExponentialLR)."""

    gamma: float

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = as_number("ExponentialLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def _closed_form(self, group: int) -> float:
        return self._base(group) * self.gamma**self.last_epoch

    def _next(self, lr: float, group: int) -> float:
        return lr if self._is_initial else lr * self.gamma


class LinearLR(LRScheduler):
    """lr = initial * factor; the factor goes linearly from start_factor to end_factor in
    total_iters epochs: a warm-up (torch.optim.lr_scheduler.LinearLR).
    """

    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        start_factor = as_number("LinearLR: start_factor", start_factor)
        end_factor = as_number("LinearLR: end_factor", end_factor)
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

    def _closed_form(self, group: int) -> float:
        return self._base(group) * self._factor(self.last_epoch)

    def _next(self, lr: float, group: int) -> float:
        # the previous rate has the factor of the previous epoch in it: divide it out
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        return lr * self._factor(self.last_epoch) / self._factor(self.last_epoch - 1)
