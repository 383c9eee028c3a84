"""`ReduceLROnPlateau`: the schedule that reacts to a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import SupportsFloat

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has not improved for more than `patience` epochs
    (torch.optim.lr_scheduler.ReduceLROnPlateau).

    `step(metric)` takes the metric, which must be the same on all ranks.

    Parameters
    ----------
    mode : "min" if lower is better, "max" if higher is
    threshold : the smallest improvement that counts: relative to the best metric, or with
        threshold_mode="abs" absolute
    cooldown : epochs after a reduction in which bad epochs are not counted
    min_lr : the lowest rate, or a list with one for each parameter group
    eps : smaller reductions of the rate are not made
    """

    optimizer: Optimizer
    last_epoch: int
    mode: str
    factor: float
    patience: int
    threshold: float
    threshold_mode: str
    eps: float
    cooldown: int
    cooldown_counter: int
    num_bad_epochs: int
    best: float
    min_lrs: list[float]
    default_min_lr: float | None

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ):
        factor = as_number("ReduceLROnPlateau: factor", factor)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: expected factor < 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown: expected 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown: expected 'rel' or 'abs'")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ReduceLROnPlateau: {type(optimizer).__name__} is not an Optimizer")
        groups = len(optimizer.param_groups)
        if isinstance(min_lr, (list, tuple)):
            self.default_min_lr = None
            self.min_lrs = [as_number("ReduceLROnPlateau: min_lr", lr) for lr in min_lr]
        else:
            self.default_min_lr = as_number("ReduceLROnPlateau: min_lr", min_lr)
            self.min_lrs = [self.default_min_lr] * groups
        if len(self.min_lrs) != groups:
            raise ValueError(f"expected {groups} min_lrs, got {len(self.min_lrs)}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.eps = threshold, threshold_mode, eps
        self.cooldown, self.cooldown_counter = cooldown, 0
        self.num_bad_epochs, self.last_epoch = 0, 0
        self.best = math.inf if mode == "min" else -math.inf
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """End an epoch whose metric is `metrics`; reduce the rates if it is a bad one too many."""
        current = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"ReduceLROnPlateau: the optimizer has {len(groups)} parameter groups, but "
                    f"min_lr was given for {len(self.min_lrs)}: append to the schedule's min_lrs "
                    "when you add a group"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for index, (group, least) in enumerate(zip(groups, self.min_lrs)):
            before = as_number(f"ReduceLROnPlateau: lr of group {index}", group["lr"])
            lr = max(before * self.factor, least)
            if before - lr > self.eps:
                group["lr"] = lr

    def _is_better(self, current: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * current < sign * self.best - self.threshold
        return sign * current < sign * self.best * (1 - sign * self.threshold)
