"""The collective log: which collective call a rank executes now, and how many came before it.

The watchdog's thread reads the log while the rank's own thread waits inside a call. Ranks that
work correctly have the same name under the same sequence number.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from dtrain.backend import Array
from dtrain.backend.profiler import span

F = TypeVar("F", bound=Callable[..., Any])


class CollectiveCall(NamedTuple):
    """A call on a communicator; `name` is None once it has returned and its work is done."""

    sequence_number: int = 0  # how many calls have begun, this one included
    name: str | None = None
    elapsed_s: float = 0.0  # time spent in the call so far
    ranks: frozenset[int] | None = None  # of the communicator, if it is not of all ranks
    received_bytes: int = 0  # from other machines, in the call so far


class DeviceCollectives(Protocol):
    """Ranks that exchange device arrays: their calls return before the exchange is done."""

    def find_error(self) -> str | None:
        """An error that has come up since the last call, if there is one."""

    def abort(self) -> None:
        """End the exchanges in progress, whose results are undefined then."""


@dataclass
class QueuedCall:
    """A call that has returned; its work waits in a GPU's queue, or runs."""

    sequence_number: int
    name: str
    has_begun: Callable[[], bool]
    is_done: Callable[[], bool]
    begun_s: float = 0.0  # when its work was first seen to have begun; 0 before

    def elapsed_s(self) -> float:
        """How long its work has been running, as far as this was asked."""
        if not self.begun_s and self.has_begun():
            self.begun_s = time.monotonic()
        return time.monotonic() - self.begun_s if self.begun_s else 0.0


@dataclass
class CollectiveLog:
    """The collective calls of one rank on one communicator; another thread may read it."""

    sequence_number: int = 0
    name: str | None = None  # of the call in progress
    started_s: float = 0.0  # on the monotonic clock
    ranks: frozenset[int] | None = None  # of the communicator, if it is not of all ranks
    received_bytes: int = 0  # from other machines, in the call in progress
    queued: deque[QueuedCall] = field(default_factory=deque)  # on a GPU, oldest first
    device: DeviceCollectives | None = None  # the ranks' way to exchange device arrays

    def queue(self, has_begun: Callable[[], bool], is_done: Callable[[], bool]) -> None:
        """Note that the call in progress leaves work in a GPU's queue."""
        while self.queued and self.queued[0].is_done():
            self.queued.popleft()
        self.queued.append(QueuedCall(self.sequence_number, self.name or "", has_begun, is_done))

    def last_call(self) -> CollectiveCall:
        """A consistent snapshot for another thread: of the call in which a GPU waits, if there is
        one, else of the newest."""
        for queued in tuple(self.queued):
            if not queued.is_done():
                if elapsed_s := queued.elapsed_s():
                    return CollectiveCall(
                        queued.sequence_number, queued.name, elapsed_s, self.ranks
                    )
                break
        while True:  # until no call has begun meanwhile
            number, name, started_s = self.sequence_number, self.name, self.started_s
            if number == self.sequence_number:
                elapsed_s = time.monotonic() - started_s if name else 0.0
                return CollectiveCall(number, name, elapsed_s, self.ranks, self.received_bytes)


class PendingMessage(NamedTuple):
    """A message for which a rank waits."""

    number: int  # of the waits of this rank
    name: str  # such as "recv from rank 1"
    peer: int | None  # the other rank; None for any
    elapsed_s: float = 0.0


class MessageLog:
    """The message between two ranks for which this rank waits; another thread may read it."""

    def __init__(self) -> None:
        self._number = 0
        self._wait: tuple[PendingMessage, float] | None = None

    @contextmanager
    def waiting(self, what: str, peer: int | None) -> Iterator[None]:
        """Context manager: the rank waits; `what` is "send to" or "recv from" a rank."""
        name = f"{what} {'any rank' if peer is None else f'rank {peer}'}"
        self._number += 1
        self._wait = PendingMessage(self._number, name, peer), time.monotonic()
        try:
            with span(name):
                yield
        finally:
            self._wait = None

    def pending(self) -> PendingMessage | None:
        """The message for which the rank waits; None if it does not wait."""
        wait = self._wait
        if wait is None:
            return None
        message, started_s = wait
        return message._replace(elapsed_s=time.monotonic() - started_s)


def collective(signature: Callable[..., str] = lambda *_, **__: "") -> Callable[[F], F]:
    """Decorator: record a communicator's method in its `collective_log` while it runs.

    The method's exceptions pass through the communicator's `failure`. A collective that another
    collective calls is not recorded.

    Parameters
    ----------
    signature : from the method's arguments to the text after its name: what all ranks must share
    """

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **options: Any) -> Any:
            log = self.collective_log
            if log.name is not None:
                return method(self, *args, **options)
            log.sequence_number += 1
            log.started_s, log.received_bytes = time.monotonic(), 0
            log.name = method.__name__ + signature(*args, **options)
            try:
                with span(log.name):
                    return method(self, *args, **options)
            except Exception as error:
                failure = self.failure(error)
                if failure is error:
                    raise
                raise failure from error
            finally:
                log.name = None

        return call  # type: ignore[return-value]

    return decorate


def describe_array(flat: Array) -> str:
    """The part of a call's name that tells which array it moves: " of 5 x float32"."""
    return f" of {len(flat)} x {_dtype_name(flat.dtype)}"


@functools.cache
def _dtype_name(dtype: Any) -> str:
    return str(dtype)  # NumPy takes 4 us for it
