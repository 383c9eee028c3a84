"""What a checkpoint can hold: objects with `state_dict()` and `load_state_dict()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dtrain.autograd import Tensor
from dtrain.autograd.bucket_hooks import Sharding
from dtrain.backend import default_generator
from dtrain.checkpoint.manifest import RANDOM
from dtrain.checkpoint.parts import SUFFIX, Part, share_out
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.distributed import world
from dtrain.nn import Module
from dtrain.optim import Optimizer
from dtrain.optim.sharding import is_sharded, parameters_part, state_part


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
    return _consolidates(value) or is_in_parts(value)


def _consolidates(value: Any) -> bool:
    """Whether ranks gather the state by a call before `state_dict()`: ZeroRedundancyOptimizer."""
    return hasattr(value, "consolidate_state_dict")


def is_in_parts(value: Any) -> bool:
    """Whether each rank writes its part of the state: of what `fully_shard` has sharded."""
    if isinstance(value, Module):
        return any(_find_sharding(param) is not None for param in value.parameters())
    return isinstance(value, Optimizer) and is_sharded(value)


def _find_sharding(param: Tensor) -> Sharding | None:
    return None if param._bucket is None else param._bucket.sharding


def gather_state(value: Any, to: int) -> None:
    """Gather the state on rank `to`, if `state_dict()` alone does not. Every rank calls it."""
    if _consolidates(value):
        value.consolidate_state_dict(to=to)


def collect_files(objects: Mapping[str, Stateful]) -> dict[str, StateWriter]:
    """The files that this rank writes of a checkpoint, by name; every rank calls it.

    Rank 0 writes the objects and the random generator; of sharded objects every rank has a part.
    """
    files = {}
    for name, value in objects.items():
        gather_state(value, to=0)
        if is_in_parts(value):
            state, writers = _collect_part(value)
            part = Part(world.rank(), world.world_size(), writers)
            files[part.file_name(name)] = StateWriter(state, part if part.ranks > 1 else None)
        elif world.rank() == 0:
            files[name + SUFFIX] = StateWriter(value.state_dict())
    if world.rank() == 0:
        files[RANDOM + SUFFIX] = StateWriter(default_generator().get_state())
    return files


def _collect_part(value: Any) -> tuple[dict[str, Any], dict[int, int]]:
    """A sharded state, and the rank that writes an array, by the array's id."""
    if isinstance(value, Optimizer):
        state, owners = state_part(value)
        tensors = [t for by_name in state["state"].values() for t in by_name.values()]
    else:
        state, owners = parameters_part(value.state_dict(keep_vars=True))
        tensors = list(state.values())
    return state, share_out(
        [t.array for t in tensors if isinstance(t, Tensor)], owners, world.world_size()
    )


def copies_state(value: Any) -> bool:
    """Whether an object copies the arrays of a state that it loads, and keeps none of them."""
    inner = getattr(value, "optim", None) if _consolidates(value) else None
    copying = (Module.load_state_dict, Optimizer.load_state_dict)
    return getattr(type(inner or value), "load_state_dict", None) in copying
