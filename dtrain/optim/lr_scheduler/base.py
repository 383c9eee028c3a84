"""`LRScheduler`, the base class of learning-rate schedules."""

from __future__ import annotations

from typing import Any

from dtrain.optim.optimizer import Optimizer


class LRScheduler:
    """The base class of schedules (torch.optim.lr_scheduler.LRScheduler).

    Call `step()` after each epoch, or after each step if the schedule counts steps. A schedule
    computes a rate from the previous one, so that several schedules can act on one optimizer.
    """

    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int
    _last_lr: list[float]
    #: the attributes that hold functions given by the user
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
        """The rate of each parameter group at `last_epoch`, computed from its present rate."""
        groups = zip(self.optimizer.param_groups, self.base_lrs)
        return [self._next(group["lr"], base, index) for index, (group, base) in enumerate(groups)]

    def _next(self, lr: float, base: float, group: int) -> float:
        """The rate of one group at `last_epoch`, computed from the previous rate `lr`."""
        raise NotImplementedError

    def _closed_form(self, base: float, group: int) -> float:
        """The rate at `last_epoch`, computed from the initial rate `base` alone."""
        return self._next(self.optimizer.param_groups[group]["lr"], base, group)

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch, or of the given one."""
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
        """The rate of each parameter group after the last step."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimizer; functions given by the user are None."""
        state = {}
        for key, value in self.__dict__.items():
            if key in self._functions:
                value = [None] * len(value) if isinstance(value, list) else None
            if key not in ("optimizer", "_schedulers"):
                state[key] = value
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the attributes; functions given by the user are kept."""
        kept = {key: value for key, value in state_dict.items() if key not in self._functions}
        self.__dict__.update(kept)
