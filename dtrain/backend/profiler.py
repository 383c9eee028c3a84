"""Spans of time, for a timeline: what this thread did, from when to when.

Nothing is kept until somebody has a thread's spans recorded; whose thread it is, and what becomes
of the spans, is known there.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import MutableSequence
from contextlib import AbstractContextManager
from typing import Any

#: a name, and the beginning and end in nanoseconds of `time.perf_counter_ns`
Span = tuple[str, int, int]

#: whether any thread's spans are recorded
enabled: bool = False


class _PerThread(threading.local):
    spans: MutableSequence[Span] | None = None


_here = _PerThread()
_NOTHING = contextlib.nullcontext()


def record(spans: MutableSequence[Span] | None) -> None:
    """Have this thread's spans appended to `spans` from now on, or to nothing."""
    global enabled
    _here.spans = spans
    enabled = enabled or spans is not None


def span(name: str, number: int | None = None) -> AbstractContextManager[Any]:
    """Note what runs in its `with`, as `name`, with a number if there are several."""
    return _Timed(name if number is None else f"{name} {number}") if enabled else _NOTHING


class _Timed(AbstractContextManager[None]):
    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(self, *exception: object) -> None:
        if _here.spans is not None:
            _here.spans.append((self._name, self._began, time.perf_counter_ns()))
