"""`Work`: a collective call or a message that runs in the background (torch.distributed.Work)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from dtrain.backend import Array
from dtrain.backend.side_stream import wait_event
from dtrain.distributed.comm.messages import Transfer


class Work:
    """What a call with ``async_op=True``, `isend` or `irecv` returns: wait for it before the
    tensors are used.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain import distributed
    >>> x = dtrain.ones(2)
    >>> work = distributed.all_reduce(x, async_op=True)
    >>> work.wait()
    True
    """

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until the call has ended, and raise its exception if it has one.

        `timeout` has no effect: the watchdog names a rank that blocks the others, and ends the job
        after ``dtrain run --stall-timeout``.
        """
        raise NotImplementedError

    def is_completed(self) -> bool:
        """Whether the call has ended; does not wait."""
        raise NotImplementedError

    def is_success(self) -> bool:
        """Whether the call has ended without an exception."""
        return self.is_completed() and self.exception() is None

    def exception(self) -> BaseException | None:
        """The exception of a call that has ended."""
        return None

    def source_rank(self) -> int:
        """The rank that has sent the message, of an `irecv` that has ended."""
        raise RuntimeError("source_rank(): only the work of irecv() has a source")


class CollectiveWork(Work):
    """A collective call in a thread.

    Parameters
    ----------
    future : gives the event at the end of the call's work on a GPU, or None
    results : the tensors that it writes
    like : one of its arrays
    """

    def __init__(self, future: Future[Any], results: list[Any], like: Array):
        self._future, self._results, self._like = future, results, like

    def wait(self, timeout: timedelta | None = None) -> bool:
        wait_event(self._like, self._future.result())
        return True

    def is_completed(self) -> bool:
        return self._future.done()

    def exception(self) -> BaseException | None:
        return self._future.exception() if self._future.done() else None

    def result(self) -> list[Any]:
        """The tensors that the call has written."""
        self.wait()
        return self._results

    def get_future(self) -> Future[Any]:
        """A future of the call, whose `result()` is the list of the tensors."""
        future: Future[Any] = Future()

        def deliver(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                if (event := done.result()) is not None:
                    event.synchronize()
                future.set_result(self._results)
            else:
                future.set_exception(error)

        self._future.add_done_callback(deliver)
        return future


class MessageWork(Work):
    """A message that is sent or received.

    Parameters
    ----------
    transfer : the message
    deliver : called once when it is complete
    to_world : from the other rank's number in the group to its number in the world
    """

    def __init__(
        self,
        transfer: Transfer,
        deliver: Callable[[], object] = lambda: None,
        to_world: Callable[[int], int] = lambda rank: rank,
    ):
        self._transfer, self._deliver, self._to_world = transfer, deliver, to_world
        self._source: int | None = None

    def wait(self, timeout: timedelta | None = None) -> bool:
        source = self._transfer.wait()
        if self._source is None:
            self._deliver()
            self._source = self._to_world(source)
        return True

    def is_completed(self) -> bool:
        return self._transfer.is_complete() and self.wait()

    def source_rank(self) -> int:
        self.wait()
        assert self._source is not None
        return self._source
