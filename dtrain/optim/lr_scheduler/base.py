"""`LRScheduler`, the base class of schedules."""

from __future__ import annotations

from typing import Any

from dtrain.optim.optimizer import Optimizer


class LRScheduler:
    """The base class: `step()` once an epoch, or whatever the unit is (torch LRScheduler).

    A schedule goes from one rate to the next, so that several can act on one optimizer:
    a subclass has `get_lr`, the rates at `last_epoch` from those before.
    """

    #: the attributes that hold functions of the user's
    _functions: tuple[str, ...] = ()

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

    def get_lr(self) -> list[float]:
        """The rate of each param group at `last_epoch`, from the one it has."""
        groups = zip(self.optimizer.param_groups, self.base_lrs)
        return [self._next(group["lr"], base, index) for index, (group, base) in enumerate(groups)]

    def _next(self, lr: float, base: float, group: int) -> float:
        """The rate of one group at `last_epoch`, from the one before."""
        raise NotImplementedError

    def _closed_form(self, base: float, group: int) -> float:
        """The rate at `last_epoch`, whatever was before."""
        return self._next(self.optimizer.param_groups[group]["lr"], base, group)

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or to the one given."""
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = [self._closed_form(base, index) for index, base in enumerate(self.base_lrs)]
        for group, lr in zip(self.optimizer.param_groups, rates):
            group["lr"] = lr
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rate of each param group after the last step."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; a function given by the user is None in it."""
        state = {}
        for key, value in self.__dict__.items():
            if key in self._functions:
                value = [None] * len(value) if isinstance(value, list) else None
            if key not in ("optimizer", "_schedulers"):
                state[key] = value
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        kept = {key: value for key, value in state_dict.items() if key not in self._functions}
        self.__dict__.update(kept)
