"""Cosine annealing, without and with warm restarts (SGDR; Loshchilov and Hutter 2016)."""

from __future__ import annotations

import math

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (initial - eta_min) * (1 + cos(pi * epoch / T_max)) / 2
    (torch.optim.lr_scheduler.CosineAnnealingLR; Loshchilov and Hutter 2016, equation 5).
    """

    T_max: int
    eta_min: float

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        if T_max == 0:
            raise ValueError("CosineAnnealingLR: expected T_max >= 1, got 0")
        self.T_max, self.eta_min = T_max, as_number("CosineAnnealingLR: eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def _cosine(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _closed_form(self, group: int) -> float:
        base = self._base(group)
        return self.eta_min + (base - self.eta_min) * self._cosine(self.last_epoch) / 2

    def _next(self, lr: float, group: int) -> float:
        if self._is_initial:
            return lr
        before = self._cosine(self.last_epoch - 1)
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # it rises again
            base = self._base(group)
            return lr + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        return self._cosine(self.last_epoch) / before * (lr - self.eta_min) + self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine annealing restarted after T_0, T_0 * T_mult, T_0 * T_mult^2, ... epochs
    (torch.optim.lr_scheduler.CosineAnnealingWarmRestarts; Loshchilov and Hutter 2016).

    lr = eta_min + (initial - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2, with T_cur epochs since
    the last restart and T_i between restarts. `step(epoch)` also accepts fractions of an epoch.
    """

    T_0: int
    T_i: int
    T_mult: int
    eta_min: float

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
        self.T_0, self.T_i, self.T_mult = T_0, T_0, T_mult
        self.eta_min = as_number("CosineAnnealingWarmRestarts: eta_min", eta_min)
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        cosine = math.cos(math.pi * self.T_cur / self.T_i)
        base = self._base(group)
        return self.eta_min + (base - self.eta_min) * (1 + cosine) / 2

    def step(self, epoch: float | None = None) -> None:
        """Set the rates of the next epoch, or of the given one, which may be a fraction."""
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
            self._find_restart(epoch)
        super().step(math.floor(epoch))

    def _find_restart(self, epoch: float) -> None:
        """Set T_i and T_cur: the length of the period that contains `epoch`, the position in it."""
        restarts = 0
        if self.T_mult == 1:
            self.T_i, self.T_cur = self.T_0, epoch % self.T_0
            return
        if epoch >= self.T_0:
            restarts = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
        began = self.T_0 * (self.T_mult**restarts - 1) / (self.T_mult - 1)
        self.T_i, self.T_cur = self.T_0 * self.T_mult**restarts, epoch - began
