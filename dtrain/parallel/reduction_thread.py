"""The thread in which buckets are reduced while the backward pass still runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from dtrain.backend import Array
from dtrain.backend.side_stream import submit_beside, wait_event
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.trace import timeline


class Reduction:
    """A bucket's reduction that has begun: a future of the event at the end of its GPU work."""

    def __init__(self, future: Future[Any], like: Array):
        self._future, self._like = future, like

    def wait(self) -> None:
        """Wait until it is done, or on a GPU have what is queued from now on wait for it; raises
        what it raised."""
        wait_event(self._like, self._future.result())

    def wait_for_end(self) -> None:
        """`wait` that raises nothing."""
        wait([self._future])
        if self._future.exception() is None:
            self.wait()


class ReductionThread:
    """Runs reductions in their order; on a GPU on a stream of their own.

    Parameters
    ----------
    comm : the ranks, for the timeline
    """

    def __init__(self, comm: Communicator):
        self._executor = ThreadPoolExecutor(
            1,
            "dtrain-reduction",
            initializer=timeline.start_recording,
            initargs=(comm, "reduction"),
        )

    def start(self, reduce: Callable[[], None], like: Array) -> Reduction:
        """Queue a reduction of what this thread has written so far; `like`: an array of it."""
        return Reduction(submit_beside(self._executor, reduce, like), like)

    def run(self, reduce: Callable[[], None], like: Array) -> Reduction:
        """Run a reduction in this thread, now."""
        reduce()
        done: Future[Any] = Future()
        done.set_result(None)
        return Reduction(done, like)
