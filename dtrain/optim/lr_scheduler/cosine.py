"""Schedules along a cosine."""

from __future__ import annotations

import math

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.optimizer import Optimizer


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


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines from the initial rate to `eta_min`, each `T_mult` times as long as the one
    before (SGDR; Loshchilov and Hutter 2016, equation 5).

    `step(epoch)` takes fractions of epochs too.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float, group: int) -> float:
        cosine = math.cos(math.pi * self.T_cur / self.T_i)
        return self.eta_min + (base - self.eta_min) * (1 + cosine) / 2

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to any, which may be a fraction."""
        if epoch is None and self.last_epoch >= 0:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
            epoch = self.last_epoch + 1
        else:
            epoch = epoch or 0
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self._place(epoch)
        super().step(math.floor(epoch))

    def _place(self, epoch: float) -> None:
        """Find the restart that an epoch comes after."""
        restarts = 0
        if self.T_mult == 1:
            self.T_i, self.T_cur = self.T_0, epoch % self.T_0
            return
        if epoch >= self.T_0:
            restarts = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
        began = self.T_0 * (self.T_mult**restarts - 1) / (self.T_mult - 1)
        self.T_i, self.T_cur = self.T_0 * self.T_mult**restarts, epoch - began
