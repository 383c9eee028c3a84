"""What a rank is doing with the others: the call that it is in, and how many came before."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Calls:
    """The calls of one rank on one communicator; read by other threads while it waits."""

    count: int = 0
    name: str | None = None  # of the call that it is in
    since: float = 0.0  # on the monotonic clock


def collective(method: F) -> F:
    """Note a communicator's call in its `calls`, by a name that tells what the ranks must share.

    What a call raises goes through the communicator's `failure`. Calls within calls are not noted.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        calls = self.calls
        if calls.name is not None:
            return method(self, *args, **options)
        calls.count += 1
        calls.since = time.monotonic()
        calls.name = _name(method.__name__, args)
        try:
            return method(self, *args, **options)
        except Exception as error:
            failure = self.failure(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            calls.name = None

    return call  # type: ignore[return-value]


def _name(method: str, args: tuple[Any, ...]) -> str:
    for arg in args:
        if hasattr(arg, "dtype"):
            return f"{method} of {len(arg)} x {arg.dtype}"
    return f"{method} for {args[-1]}" if args and isinstance(args[-1], str) else method
