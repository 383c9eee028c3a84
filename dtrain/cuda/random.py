"""Seeds and states of GPUs' random numbers (torch.cuda.random).

There is one generator for all devices: `dtrain.manual_seed`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.backend import random as _random
from dtrain.backend.device import cuda_device_count, device as Device, module_on
from dtrain.cuda.devices import is_available


def manual_seed(seed: int) -> None:
    """Seed the random numbers of GPUs (torch.cuda.manual_seed); nothing without one."""
    if is_available():
        _random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """`manual_seed`, which is for all GPUs (torch.cuda.manual_seed_all)."""
    manual_seed(seed)


def seed() -> None:
    """Seed from the system's random numbers (torch.cuda.seed); nothing without a GPU."""
    if is_available():
        _random.seed()


def seed_all() -> None:
    """`seed`, which is for all GPUs (torch.cuda.seed_all)."""
    seed()


def initial_seed() -> int:
    """The seed of the generator (torch.cuda.initial_seed)."""
    module_on("cuda")
    return _random.initial_seed()


def get_rng_state(device: Device | str | int = "cuda") -> dict[str, Any]:
    """The state of the generator, which is one for all devices (torch.cuda.get_rng_state)."""
    module_on(device)
    return _random.get_rng_state()


def set_rng_state(new_state: dict[str, Any], device: Device | str | int = "cuda") -> None:
    """Restore the state of the generator (torch.cuda.set_rng_state)."""
    module_on(device)
    _random.set_rng_state(new_state)


def get_rng_state_all() -> list[dict[str, Any]]:
    """The state, once for each GPU (torch.cuda.get_rng_state_all)."""
    return [_random.get_rng_state() for _ in range(cuda_device_count())]


def set_rng_state_all(new_states: Sequence[dict[str, Any]]) -> None:
    """Restore the states of `get_rng_state_all` (torch.cuda.set_rng_state_all)."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)
