"""What a checkpoint can hold: objects with `state_dict()` and `load_state_dict()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dtrain.distributed import world
from dtrain.nn import Module
from dtrain.optim import Optimizer
from dtrain.optim.sharding import is_sharded


class Stateful(Protocol):
    """What a checkpoint can hold: models, optimizers, schedules, loaders, scalers, your own.

    Mirrors torch.distributed.checkpoint.stateful.Stateful.
    """

    def state_dict(self) -> Any:
        """The state: tensors, arrays, numbers, strings, None, and containers of them."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take over a state that `state_dict` returned, or raise and change nothing."""


def needs_gathering(value: Any) -> bool:
    """Whether the state is sharded over the ranks, which then have to gather it together."""
    return _consolidates(value) or _gathers_itself(value)


def _consolidates(value: Any) -> bool:
    """Whether ranks gather the state by a call before `state_dict()`: ZeroRedundancyOptimizer."""
    return hasattr(value, "consolidate_state_dict")


def _gathers_itself(value: Any) -> bool:
    """Whether `state_dict()` gathers the state, and every rank calls it."""
    return isinstance(value, Optimizer) and is_sharded(value)


def gather_state(value: Any, to: int) -> None:
    """Gather the state on rank `to`, if `state_dict()` alone does not. Every rank calls it."""
    if _consolidates(value):
        value.consolidate_state_dict(to=to)


def gather_states(objects: Mapping[str, Stateful]) -> dict[str, Any]:
    """The states of all objects, on rank 0; nothing on the others. Every rank calls it."""
    writes, states = world.rank() == 0, {}
    for name, value in objects.items():
        gather_state(value, to=0)
        if writes or _gathers_itself(value):
            states[name] = value.state_dict()
    return states if writes else {}


def copies_state(value: Any) -> bool:
    """Whether an object copies the arrays of a state that it loads, and keeps none of them."""
    inner = getattr(value, "optim", None) if _consolidates(value) else None
    copying = (Module.load_state_dict, Optimizer.load_state_dict)
    return getattr(type(inner or value), "load_state_dict", None) in copying
