"""Named spans of time of a thread, for the timeline of `distributed/trace`.

A span is recorded only if its thread has a list for spans, which `record` sets.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import MutableSequence
from contextlib import AbstractContextManager
from typing import Any

#: name, begin and end; times are nanoseconds of `time.perf_counter_ns`
Span = tuple[str, int, int]

#: whether the spans of any thread are recorded
enabled: bool = False


class _PerThread(threading.local):
    spans: MutableSequence[Span] | None = None


_here = _PerThread()
_NOTHING = contextlib.nullcontext()


def record(spans: MutableSequence[Span] | None) -> None:
    """Append the spans of this thread to `spans` from now on; None: record none."""
    global enabled
    _here.spans = spans
    enabled = enabled or spans is not None


def recorded() -> MutableSequence[Span] | None:
    """The list to which the spans of this thread are appended."""
    return _here.spans


def span(name: str, number: int | None = None) -> AbstractContextManager[Any]:
    """Context manager: record the time of its body as the span "name" or "name number"."""
    return _Timed(name if number is None else f"{name} {number}") if enabled else _NOTHING


class _Timed(AbstractContextManager[None]):
    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(self, *exception: object) -> None:
        if _here.spans is not None:
            _here.spans.append((self._name, self._began, time.perf_counter_ns()))
