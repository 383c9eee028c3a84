"""A pool of threads of which none keeps the interpreter alive, however long its function takes.

The threads of `concurrent.futures` are joined at exit: one that hangs would keep a job from ending.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

#: seconds at exit for all threads to return: a library may crash if its call is cut off
_GRACE_S = 5.0

_Tasks = queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]


class ThreadPool:
    """Threads that call functions, in the order in which they were submitted.

    Parameters
    ----------
    count : how many
    name : of the threads, for messages; each has its number in addition
    begin : called by each thread with its number, at its start

    Examples
    --------
    >>> pool = ThreadPool(2, "adder", lambda number: None)
    >>> pool.submit(sum, [1, 2]).result()
    3
    >>> pool.close()
    """

    def __init__(self, count: int, name: str, begin: Callable[[int], None]) -> None:
        self._tasks: _Tasks = queue.SimpleQueue()
        threads = [
            threading.Thread(
                target=_work, args=(self._tasks, begin, k), name=f"{name}_{k}", daemon=True
            )
            for k in range(count)
        ]
        self._finalizer = weakref.finalize(self, _end, self._tasks, count)
        for thread in threads:
            thread.start()
            _running.add(thread)
        _pools.add(self)

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a thread call ``function(*args)``."""
        future: Future[Any] = Future()
        self._tasks.put((future, function, args))
        return future

    def close(self) -> None:
        """Cancel the calls that no thread has begun, and end each thread after its call."""
        self._finalizer()


_pools: weakref.WeakSet[ThreadPool] = weakref.WeakSet()
_running: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def _work(tasks: _Tasks, begin: Callable[[int], None], number: int) -> None:
    begin(number)
    while (task := tasks.get()) is not None:
        future, function, args = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function(*args))
            except BaseException as error:
                future.set_exception(error)
        del task, future, function, args  # a batch is not kept until the next one


def _end(tasks: _Tasks, count: int) -> None:
    try:
        while (task := tasks.get_nowait()) is not None:
            task[0].cancel()
    except queue.Empty:
        pass
    for _ in range(count):
        tasks.put(None)


@atexit.register
def _end_all() -> None:
    """End all threads at exit; one that takes too long is left behind."""
    for pool in list(_pools):
        pool.close()
    deadline = time.monotonic() + _GRACE_S
    for thread in list(_running):
        thread.join(max(deadline - time.monotonic(), 0))
