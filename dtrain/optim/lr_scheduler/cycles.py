"""CyclicLR and OneCycleLR: the rate rises while the momentum falls, and the reverse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.optim.lr_scheduler.base import LRScheduler
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number


def _per_group(name: str, optimizer: Optimizer, value: Any) -> list[float]:
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(
            f"expected {groups} values for {name}, one for each parameter group, got {value}"
        )
    return [as_number(name, number) for number in values]


def _require_momentum(name: str, optimizer: Optimizer) -> None:
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError(
            f"{name}: the optimizer has no momentum to cycle; use cycle_momentum=False"
        )


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


class CyclicLR(LRScheduler):
    """The rate goes up and down between two limits, the momentum down and up
    (torch.optim.lr_scheduler.CyclicLR; Smith 2015).

    Parameters
    ----------
    base_lr, max_lr : the limits of the rate, or lists with one for each parameter group
    step_size_up, step_size_down : the number of steps up and down; equal by default
    mode : the height of a cycle: "triangular" constant, "triangular2" halved in each cycle,
        "exp_range" gamma ** step
    scale_fn : a function for the height, in place of `mode`; its argument is the number of the
        cycle, or of the step if scale_mode="iterations"
    """

    max_lrs: list[float]
    base_momentums: list[float]
    max_momentums: list[float]
    total_size: float
    step_ratio: float
    mode: str
    gamma: float
    scale_mode: str
    cycle_momentum: bool
    _functions = ("_scale_fn_custom",)

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ):
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"CyclicLR: mode {mode!r} is invalid and scale_fn is None")
        base_lrs = _per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs):
                group["lr"] = lr
        self.max_lrs = _per_group("max_lr", optimizer, max_lr)
        if step_size_down is None:
            step_size_down = step_size_up
        if step_size_up <= 0 or step_size_down < 0:
            raise ValueError(
                "CyclicLR: expected step_size_up >= 1 and step_size_down >= 0, got "
                f"{step_size_up} and {step_size_down}"
            )
        self.total_size = float(step_size_up + step_size_down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma = mode, as_number("CyclicLR: gamma", gamma)
        self._scale_fn_custom, self.scale_mode = scale_fn, scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _require_momentum("CyclicLR", optimizer)
            self.base_momentums = _per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = _per_group("max_momentum", optimizer, max_momentum)
            if last_epoch == -1:
                limits = zip(self.base_momentums, self.max_momentums)
                for group, (low, high) in zip(optimizer.param_groups, limits):
                    group["base_momentum"], group["max_momentum"] = low, high
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _scale(self, x: float) -> float:
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / 2.0 ** (x - 1)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        """The rates at `last_epoch`; also sets the momentums."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        ratio = self.step_ratio
        height = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        height *= self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        groups, rates = self.optimizer.param_groups, []
        for index in range(len(groups)):
            low, high = self._base(index), self.max_lrs[index]
            rates.append(low + (high - low) * height)
        if self.cycle_momentum:
            for group, low, high in zip(groups, self.base_momentums, self.max_momentums):
                _set_momentum(group, high - (high - low) * height)
        return rates


class OneCycleLR(LRScheduler):
    """One cycle over the whole run: up to `max_lr`, then down to nearly 0
    (torch.optim.lr_scheduler.OneCycleLR; Smith and Topin 2017).

    Parameters
    ----------
    total_steps : the length of the cycle, or give `epochs` and `steps_per_epoch`
    pct_start : the fraction of the steps in which the rate rises
    div_factor, final_div_factor : max_lr / initial rate; initial rate / final rate
    three_phase : fall to the initial rate in as many steps as it rose, then to the final rate
    """

    total_steps: int
    cycle_momentum: bool

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
            for name, count in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
                if not isinstance(count, int) or count <= 0:
                    raise ValueError(f"Expected positive integer {name}, but got {count}")
            total_steps = epochs * steps_per_epoch
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not div_factor or not final_div_factor:
            raise ValueError(
                "OneCycleLR: expected div_factor and final_div_factor other than 0, got "
                f"{div_factor} and {final_div_factor}"
            )
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self.total_steps, self._anneal_func_type = total_steps, anneal_strategy
        self._schedule_phases = _phases(total_steps, pct_start, three_phase)
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, _per_group("max_lr", optimizer, max_lr)):
                group["initial_lr"] = as_number("div_factor", lr / div_factor)
                group["max_lr"] = lr
                least = group["initial_lr"] / final_div_factor
                group["min_lr"] = as_number("final_div_factor", least)
        if cycle_momentum:
            _require_momentum("OneCycleLR", optimizer)
            if last_epoch == -1:
                lows = _per_group("base_momentum", optimizer, base_momentum)
                highs = _per_group("max_momentum", optimizer, max_momentum)
                for group, low, high in zip(optimizer.param_groups, lows, highs):
                    group["base_momentum"], group["max_momentum"] = low, high
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2 * (math.cos(math.pi * part) + 1)

    def get_lr(self) -> list[float]:
        """The rates at `last_epoch`; also sets the momentums."""
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        begin = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                break
            begin = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        part = (step - begin) / (phase["end_step"] - begin)
        rates = []
        for index, group in enumerate(self.optimizer.param_groups):
            for name in (phase["start_lr"], phase["end_lr"]):
                if name not in group:
                    raise ValueError(
                        f"OneCycleLR: parameter group {index} has no {name!r}: was it added after "
                        "the schedule was made, or last_epoch given without the optimizer's state?"
                    )
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], part))
            if self.cycle_momentum:
                limits = group[phase["start_momentum"]], group[phase["end_momentum"]]
                _set_momentum(group, self._between(*limits, part))
        return rates


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """For each phase its last step and the names of its limits in a parameter group."""

    def phase(end: float, lrs: tuple[str, str], momentums: tuple[str, str]) -> dict[str, Any]:
        return {
            "end_step": end, "start_lr": lrs[0], "end_lr": lrs[1],
            "start_momentum": momentums[0], "end_momentum": momentums[1],
        }  # fmt: skip

    up = ("max_momentum", "base_momentum")
    down = up[::-1]
    first = phase(pct_start * total_steps - 1, ("initial_lr", "max_lr"), up)
    if not three_phase:
        return [first, phase(total_steps - 1, ("max_lr", "min_lr"), down)]
    return [
        first,
        phase(2 * pct_start * total_steps - 2, ("max_lr", "initial_lr"), down),
        phase(total_steps - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
    ]
