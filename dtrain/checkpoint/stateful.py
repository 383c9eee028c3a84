"""What a checkpoint can hold: objects with `state_dict()` and `load_state_dict()`."""

from __future__ import annotations

from typing import Any, Protocol

from dtrain.nn import Module
from dtrain.optim import Optimizer


class Stateful(Protocol):
    """What a checkpoint can hold: models, optimizers, schedules, loaders, scalers, your own.

    Mirrors torch.distributed.checkpoint.stateful.Stateful.
    """

    def state_dict(self) -> Any:
        """The state: tensors, arrays, numbers, strings, None, and containers of them."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take over a state that `state_dict` returned, or raise and change nothing."""


def needs_gathering(value: Any) -> bool:
    """Whether the state is sharded over the ranks, and `gather_state` has to gather it."""
    return hasattr(value, "consolidate_state_dict")


def gather_state(value: Any, to: int) -> None:
    """Gather the state on rank `to`, if it is sharded over the ranks. Every rank calls it."""
    if needs_gathering(value):
        value.consolidate_state_dict(to=to)


def copies_state(value: Any) -> bool:
    """Whether an object copies the arrays of a state that it loads, and keeps none of them."""
    inner = getattr(value, "optim", None) if needs_gathering(value) else None
    copying = (Module.load_state_dict, Optimizer.load_state_dict)
    return getattr(type(inner or value), "load_state_dict", None) in copying
