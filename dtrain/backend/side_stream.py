"""A thread's work on a GPU beside that of other threads: on a stream of its own, ordered by events.

With host arrays nothing is queued, and there is nothing to wait for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from dtrain.backend.array_module import Array, is_cupy

_own = threading.local()


def record_event(array: Array) -> Any:
    """An event after the work queued so far on the current stream of the array's device; None for
    a host array."""
    if not is_cupy(array):
        return None
    import cupy

    with array.device:
        event = cupy.cuda.Event(disable_timing=True)
        event.record()
        return event


def wait_event(array: Array, event: Any) -> None:
    """Let work that is queued from now on, on the current stream of the array's device, wait for
    an event of `record_event`."""
    if event is not None:
        import cupy

        with array.device:
            cupy.cuda.get_current_stream().wait_event(event)


def submit_beside(executor: Executor, function: Callable[[], Any], like: Array) -> Future[Any]:
    """Have a thread run a function that uses what this thread has written so far to arrays on the
    device of `like`; gives the event at the end, for `wait_event`."""
    written = record_event(like)

    def run() -> Any:
        with side_stream(like, after=written):
            function()
            return record_event(like)

    return executor.submit(run)


@contextmanager
def side_stream(array: Array, after: Any) -> Iterator[None]:
    """Context manager: this thread's work on the device of `array` goes to a stream that is the
    thread's own, and that waits for the event `after` first."""
    if not is_cupy(array):
        yield
        return
    import cupy

    streams = _own.__dict__.setdefault("streams", {})
    with array.device:
        if array.device.id not in streams:
            streams[array.device.id] = cupy.cuda.Stream(non_blocking=True)
        with streams[array.device.id]:
            wait_event(array, after)
            yield
