"""Python's multiprocessing, and `spawn`, which starts ranks (torch.multiprocessing).

A process that a rank starts by Python's own classes is no rank: a world of one.
"""

import multiprocessing as _multiprocessing
from multiprocessing import *  # noqa: F403

from dtrain.distributed.launch.spawn import spawn as spawn

_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = "file_descriptor"


def get_all_sharing_strategies() -> set[str]:
    """The names that `set_sharing_strategy` takes (torch.multiprocessing's)."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """The name that was set last (torch.multiprocessing.get_sharing_strategy)."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Set the name that `get_sharing_strategy` returns (torch.multiprocessing's).

    Nothing else depends on it: tensors are sent to other processes as copies.

    >>> set_sharing_strategy("file_system")
    >>> get_sharing_strategy()
    'file_system'
    >>> set_sharing_strategy("file_descriptor")
    """
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise ValueError(
            f"set_sharing_strategy: expected one of {sorted(_STRATEGIES)}, got {new_strategy!r}"
        )
    _strategy = new_strategy


__all__ = [
    *_multiprocessing.__all__,
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
]
