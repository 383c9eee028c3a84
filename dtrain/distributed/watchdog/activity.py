"""Long work for which other ranks wait rightly: the watchdog names it when they do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dtrain.distributed.context import process


@contextmanager
def activity(text: str) -> Iterator[None]:
    """Context manager: this process does what `text` tells, such as "writing checkpoint runs/a"."""
    own = process.activity = text, time.monotonic()
    try:
        yield
    finally:
        if process.activity is own:  # else a rank that is another thread has begun one
            process.activity = None


def describe_activity() -> str:
    """What this process has been doing for how long; empty if it is in no such work."""
    current = process.activity  # another thread may end it
    if current is None:
        return ""
    text, began = current
    return f"has been {text} for {time.monotonic() - began:.0f} s"
