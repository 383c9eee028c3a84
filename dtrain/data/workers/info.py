"""`get_worker_info`: which worker of a loader runs this code (torch.utils.data)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorkerInfo:
    """A worker of a DataLoader (torch.utils.data's WorkerInfo)."""

    id: int  #: from 0 to num_workers - 1
    num_workers: int
    seed: int  #: another one for each worker; samples draw by their own keys
    dataset: Any  #: this worker's copy; the dataset itself in a thread


class _PerThread(threading.local):
    info: WorkerInfo | None = None
    was_asked = False


_here = _PerThread()


def get_worker_info() -> WorkerInfo | None:
    """The worker that runs this code; None in the program itself (torch.utils.data's).

    A stream that several workers read uses it to give each its part:

    >>> from itertools import islice
    >>> class Numbers:
    ...     def __iter__(self):
    ...         info = get_worker_info()
    ...         if info is None:
    ...             return iter(range(10))
    ...         return islice(range(10), info.id, None, info.num_workers)
    >>> list(Numbers())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    _here.was_asked = True
    return _here.info


def become_worker(info: WorkerInfo) -> None:
    """Make this thread a worker."""
    _here.info, _here.was_asked = info, False


def was_asked() -> bool:
    """Whether this thread has asked `get_worker_info` since it became a worker."""
    return _here.was_asked
