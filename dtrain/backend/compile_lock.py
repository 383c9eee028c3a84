"""Ranks start together: one compiles a kernel, the others wait and find its work in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

from dtrain.backend.collector import collector_off

_threads = threading.RLock()
_depth = 0


@contextlib.contextmanager
def one_process(folder: str) -> Iterator[None]:
    """Context manager: a lock on a cache folder; one thread of one process holds it at a time."""
    global _depth
    with _threads, contextlib.ExitStack() as stack:
        if not _depth:  # a kernel that calls another compiles that in between
            with contextlib.suppress(OSError):  # without a lock each compiles for itself
                os.makedirs(folder, exist_ok=True)
                file = stack.enter_context(open(os.path.join(folder, "kernels.lock"), "w"))
                fcntl.flock(file, fcntl.LOCK_EX)
            stack.enter_context(collector_off())
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1
