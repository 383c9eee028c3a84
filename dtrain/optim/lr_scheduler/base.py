"""`LRScheduler`, the base class of learning-rate schedules."""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType
from typing import Any, TypeVar

from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number

_T = TypeVar("_T")


class LRScheduler:
    """The base class of schedules (torch.optim.lr_scheduler.LRScheduler).

    Call `step()` after each epoch, or after each step if the schedule counts steps. A schedule
    computes a rate from the previous one, so that several schedules can act on one optimizer.
    """

    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int
    _last_lr: list[float]
    _step_count: int = 0  #: the calls of `step`, with the constructor's
    _is_initial: bool = False  #: whether the constructor sets the first rates
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
                group.setdefault("initial_lr", as_number("initial_lr", group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(f"param group {index} has no 'initial_lr': needed with last_epoch")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        """Set the rates of the epoch in which the schedule begins: the one after `last_epoch`."""
        self._step_count, self._is_initial = 0, True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _begin(self) -> None:
        """Start at epoch 0 whatever came before: SequentialLR calls it at a milestone."""
        self._update_lr(0)

    def _restart(self) -> None:
        """Start at epoch 0 from the rates that the groups have."""
        self.last_epoch = -1
        self._initial_step()

    def get_lr(self) -> list[float]:
        """The rate of each parameter group at `last_epoch`, computed from its present rate."""
        groups = self.optimizer.param_groups
        return [self._next(group["lr"], index) for index, group in enumerate(groups)]

    def _next(self, lr: float, group: int) -> float:
        """The rate of one group at `last_epoch`, computed from the previous rate `lr`."""
        raise NotImplementedError

    def _closed_form(self, group: int) -> float:
        """The rate of one group at `last_epoch`, computed from its initial rate alone."""
        raise NotImplementedError

    def _get_closed_form_lr(self) -> list[float]:
        """The rates at `last_epoch` that do not depend on the present ones, where there are any."""
        if type(self)._closed_form is LRScheduler._closed_form:
            return self.get_lr()
        return [self._closed_form(index) for index in range(len(self.optimizer.param_groups))]

    def _of_group(self, values: Sequence[_T], group: int) -> _T:
        """The value of one group, from a list made when the schedule was."""
        if group >= len(values):
            raise ValueError(
                f"{type(self).__name__}: parameter group {group} was added to the optimizer after "
                f"the schedule was made, which knows {len(values)}: make a new schedule, with "
                "last_epoch"
            )
        return values[group]

    def _base(self, group: int) -> float:
        """The initial rate of one group."""
        return self._of_group(self.base_lrs, group)

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next epoch, or of the given one."""
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        name, groups = type(self).__name__, self.optimizer.param_groups
        try:
            rates = self.get_lr() if epoch is None else self._get_closed_form_lr()
        except ZeroDivisionError as reason:
            if self._functions:  # it may be the user's function that divides
                raise
            options = {k: v for k, v in vars(self).items() if type(v) in (int, float)}
            raise ValueError(
                f"{name}: there is no rate for epoch {self.last_epoch}: its formula divides by 0 "
                f"with {options}"
            ) from reason
        if len(rates) != len(groups):
            raise ValueError(f"{name}: expected {len(groups)} rates from get_lr, got {rates}")
        rates = [as_number(f"{name}: the rate of group {i}", lr) for i, lr in enumerate(rates)]
        for group, lr in zip(groups, rates):
            group["lr"] = lr
        self._last_lr = rates

    def get_last_lr(self) -> list[float]:
        """The rate of each parameter group after the last step."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimizer.

        A function given by the user is None in it, a callable object is the dict of its
        attributes.
        """
        state = {}
        for key, value in self.__dict__.items():
            if key in self._functions:
                is_list = isinstance(value, list)
                value = list(map(_function_state, value)) if is_list else _function_state(value)
            if key not in ("optimizer", "_schedulers"):
                state[key] = value
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the attributes, those of callable objects too; functions are kept."""
        loads: list[tuple[Any, dict[str, Any]]] = []
        for key in self._functions:
            own, saved = getattr(self, key), state_dict.get(key)
            if isinstance(own, list) and saved is not None and len(own) != len(saved):
                raise ValueError(
                    f"{type(self).__name__}: the state has {len(saved)} functions, expected "
                    f"{len(own)}, one for each parameter group"
                )
            pairs = zip(own, saved or ()) if isinstance(own, list) else [(own, saved)]
            loads += [(function, state) for function, state in pairs if state]
        for function, state in loads:
            vars(function).update(state)
        kept = {key: value for key, value in state_dict.items() if key not in self._functions}
        self.__dict__.update(kept)


def _function_state(function: Any) -> dict[str, Any] | None:
    """The attributes of a callable object; None for a function, a class, or no function."""
    if isinstance(function, (FunctionType, type)) or not hasattr(function, "__dict__"):
        return None
    return dict(vars(function))
