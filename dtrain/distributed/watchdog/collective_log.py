"""What a rank is doing with the others: the call that it is in, and how many came before."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from dtrain.backend import Array
from dtrain.backend.profiler import span


class Call(NamedTuple):
    """The last call that was begun on a communicator; `name` is None when it is over."""

    turn: int = 0  # how many have been begun
    name: str | None = None
    seconds: float = 0.0  # spent in it so far


@dataclass
class Calls:
    """The calls of one rank on one communicator; read by another thread while it waits."""

    count: int = 0
    name: str | None = None  # of the call that it is in
    since: float = 0.0  # on the monotonic clock

    def last(self) -> Call:
        """The last call, as another thread sees it."""
        while True:  # until no call has begun meanwhile
            count, name, since = self.count, self.name, self.since
            if count == self.count:
                return Call(count, name, time.monotonic() - since if name else 0.0)


def collective(shared: Callable[..., str] = lambda *_, **__: "") -> Callable[[Any], Any]:
    """Note a communicator's call in its `calls`, by a name that is the same on all ranks.

    What a call raises goes through the communicator's `failure`. Calls within calls are not noted.

    Parameters
    ----------
    shared : from the call's arguments to the rest of its name: what the ranks must agree on
    """

    def noted(method: Any) -> Any:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **options: Any) -> Any:
            calls = self.calls
            if calls.name is not None:
                return method(self, *args, **options)
            calls.count += 1
            calls.since = time.monotonic()
            calls.name = method.__name__ + shared(*args, **options)
            try:
                with span(calls.name):
                    return method(self, *args, **options)
            except Exception as error:
                failure = self.failure(error)
                if failure is error:
                    raise
                raise failure from error
            finally:
                calls.name = None

        return call

    return noted


def of(flat: Array) -> str:
    """The part of a call's name that tells what it moves."""
    return f" of {len(flat)} x {_name_of(flat.dtype)}"


@functools.cache
def _name_of(dtype: Any) -> str:
    return str(dtype)  # NumPy takes 4 us for it
