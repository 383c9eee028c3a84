"""The options of a DataLoader for its workers, checked before anything is loaded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from dtrain.backend.device import cuda_device_count
from dtrain.data.options import is_stream

_DEFAULT_AHEAD = 2  # batches a worker, as in PyTorch


class WorkerOptions(TypedDict, total=False):
    """The options of a DataLoader for its workers (PyTorch's, `worker_type` and `prefetch`)."""

    in_order: bool
    multiprocessing_context: Any
    num_workers: int
    persistent_workers: bool
    pin_memory: bool
    pin_memory_device: str
    prefetch: int
    prefetch_factor: int | None
    timeout: float
    worker_init_fn: Callable[[int], None] | None
    worker_type: Literal["process", "thread"]


@dataclass(frozen=True)
class WorkerSettings:
    """The options, checked, with their defaults."""

    count: int  # 0: the program's own thread loads
    threads: bool
    ahead: int  # batches that are loaded ahead, over all workers
    persistent: bool
    timeout_s: float
    init_fn: Callable[[int], None] | None
    pins: bool  # batches in pinned memory


def read_worker_options(options: WorkerOptions, dataset: Any) -> WorkerSettings:
    """Check the options; raises TypeError or ValueError for those that no worker could take."""
    for name in options:
        if name not in WorkerOptions.__annotations__:
            raise TypeError(f"DataLoader: unexpected argument {name!r}")
    count = _whole_number(options, "num_workers", 0)
    prefetch = _whole_number(options, "prefetch", 0)
    factor = options.get("prefetch_factor")
    if factor is not None:
        factor = _whole_number(options, "prefetch_factor", 1)
    timeout = options.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise ValueError(f"DataLoader: timeout must be >= 0 seconds, got {timeout!r}")
    kind = options.get("worker_type", "process")
    if kind not in ("process", "thread"):
        raise ValueError(f"DataLoader: worker_type must be 'process' or 'thread', got {kind!r}")
    init_fn = options.get("worker_init_fn")
    if init_fn is not None and not callable(init_fn):
        raise ValueError(f"DataLoader: worker_init_fn must be a function, got {init_fn!r}")
    persistent = bool(options.get("persistent_workers", False))
    if count and prefetch:
        raise ValueError(
            f"DataLoader: prefetch={prefetch} is for num_workers=0; workers load prefetch_factor "
            "batches each ahead"
        )
    if not count:
        _refuse_without_workers(options)
    if (prefetch or (count and kind == "thread")) and is_stream(dataset):
        raise ValueError(
            f"DataLoader: the {type(dataset).__name__} is a stream, which a thread cannot read "
            "ahead: what it draws from random and numpy.random would be the program's. Use "
            "num_workers=1, a process"
        )
    if count and kind == "process" and not hasattr(os, "memfd_create"):
        raise ValueError(
            "DataLoader: worker processes need Linux, for their shared memory: give "
            "worker_type='thread'"
        )
    _warn_of_effectless(options)
    return WorkerSettings(
        count or min(prefetch, 1),
        bool(prefetch) or kind == "thread",
        prefetch or count * (factor or _DEFAULT_AHEAD),
        persistent,
        float(timeout),
        init_fn if count else None,
        bool(options.get("pin_memory")) and cuda_device_count() > 0,
    )


def _whole_number(options: WorkerOptions, name: str, minimum: int) -> int:
    value: Any = options.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"DataLoader: {name} must be >= {minimum}, got {value!r}")
    return value


def _refuse_without_workers(options: WorkerOptions) -> None:
    """Refuse the options of workers with num_workers=0, as PyTorch does; warn of worker_init_fn."""
    for name in ("multiprocessing_context", "persistent_workers", "prefetch_factor", "timeout"):
        if options.get(name):
            raise ValueError(
                f"DataLoader: {name} is an option of workers: give num_workers=1 or more, or omit "
                f"{name}={options.get(name)!r}"
            )
    if options.get("worker_init_fn") is not None:
        warnings.warn(
            "DataLoader: worker_init_fn is not called without workers (num_workers=0)",
            stacklevel=4,
        )


def _warn_of_effectless(options: WorkerOptions) -> None:
    if options.get("in_order") is False:
        warnings.warn(
            "DataLoader: in_order=False: batches come in order all the same", stacklevel=4
        )
    context = options.get("multiprocessing_context")
    name = context if isinstance(context, str) else getattr(context, "_name", context)
    if name not in (None, "forkserver"):
        warnings.warn(
            f"DataLoader: multiprocessing_context={name!r}: workers start from a fork server all "
            "the same, for a rank of MPI cannot be forked safely",
            stacklevel=4,
        )
    if options.get("pin_memory") and not cuda_device_count():
        warnings.warn("DataLoader: pin_memory=True without a GPU has no effect", stacklevel=4)
