"""Optimizers' steps in a CUDA graph: their numbers are those of the host at each replay."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dtrain.backend.capture import Capture, current_capture
from dtrain.backend.dtypes import is_half
from dtrain.optim.types import Group, Run

if TYPE_CHECKING:
    from dtrain.optim.optimizer import Optimizer

_F = TypeVar("_F", bound=Callable[..., Any])


def one_kernel(rule: _F) -> _F:
    """Mark an update rule that is one kernel on a GPU, which gets all its numbers as arguments."""
    marked: Any = rule
    marked.is_one_kernel = True
    return rule


def begin_step(optimizer: Optimizer) -> Callable[[Run, Group], None]:
    """What updates adjacent parameters: if this thread captures a CUDA graph, as a part of it.

    The step counters are restored when the capture has ended.

    Raises
    ------
    RuntimeError
        If the rule is not one kernel, or the optimizer has no state yet.
    """
    capture = current_capture()
    if capture is None:
        return optimizer._update_run
    name = type(optimizer).__name__
    if not getattr(type(optimizer)._update, "is_one_kernel", False):
        raise RuntimeError(
            f"CUDA graph: {name} computes with numbers that a graph would keep, and that change in "
            "each step: capture the forward and backward pass alone, and call step() after replay()"
        )
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param._grad is not None and id(param) not in optimizer._numbers:
                raise RuntimeError(
                    f"CUDA graph: {name} has no state yet, and each replay would make it anew: run "
                    "at least one step before the capture"
                )
    before = {key: dict(numbers) for key, numbers in optimizer._numbers.items()}
    capture.on_end.append(lambda: optimizer._numbers.update(before))
    return functools.partial(_capture_update, optimizer, capture)


def _capture_update(optimizer: Optimizer, capture: Capture, run: Run, group: Group) -> None:
    """Capture the update of adjacent parameters."""

    def replay() -> None:
        optimizer._read_options(group)
        states = [optimizer._numbers[id(param)] for param in run.params]
        for numbers in states:
            optimizer._advance(numbers, group)
        run.numbers = states[0]
        if any(numbers != run.numbers for numbers in states):
            raise RuntimeError(
                f"CUDA graph: parameters that {type(optimizer).__name__} updates by one kernel "
                "have taken different numbers of steps since the capture: capture it again"
            )
        with np.errstate(all="ignore"):
            optimizer._update_run(run, group)

    capture.run(lambda: optimizer._update_run(run, group), replay)


def gives_numbers_alone(dtype: np.dtype) -> bool:
    """Whether a replay is prepared, in which the arrays of halves need not be converted."""
    capture = current_capture()
    return capture is not None and capture.is_replaying and is_half(dtype)
