"""The number of threads of the BLAS of this process (torch.get_num_threads)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def get_num_threads() -> int:
    """The number of threads that multiply matrices; all other code has one.

    (torch.get_num_threads)
    """
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)


def set_num_threads(num: int) -> None:
    """Set the number of threads of the BLAS of this process (torch.set_num_threads).

    The order in which a BLAS adds depends on its number of threads: for equal bits all ranks need
    the same number, which ``dtrain run --threads`` sets.
    """
    from threadpoolctl import threadpool_limits

    if not isinstance(num, int) or isinstance(num, bool):
        raise RuntimeError(f"set_num_threads: expected an int, got {type(num).__name__}")
    if num < 1:
        raise RuntimeError(f"set_num_threads: expected a positive number of threads, got {num}")
    threadpool_limits(num, user_api="blas")


@functools.cache
def _numpy_blas() -> list:
    """What threadpoolctl knows of the BLAS that NumPy calls."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def blas_threads() -> int:
    """The number of threads of the BLAS that was loaded first, NumPy's."""
    libraries = _numpy_blas()
    return libraries[0].get_num_threads() if libraries else 1


@functools.cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "dtrain-products")


os.register_at_fork(after_in_child=_executor.cache_clear)  # it has none of its parent's threads


def run_together(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run functions on a thread each, the first on the caller's; their results, in order."""
    others = [_executor().submit(task) for task in tasks[1:]]
    return [tasks[0](), *(other.result() for other in others)]
