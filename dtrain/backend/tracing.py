"""Whether a graph is being recorded, and by which tracer; the lower layers ask here.

`tracers` holds the tracers of all threads, so that an operation needs to look at its thread's own
only while there is one at all. What a tracer does is in `dtrain.jit.tracer`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol


class Tracer(Protocol):
    """What records the calls of one thread.

    traces_rules : whether it records the array code of primitives, for arrays of any layout:
        kernels as one call, and arrays that are made
    takes_other_sizes : whether what it records is to hold for other sizes of its inputs
    """

    traces_rules: bool
    takes_other_sizes: bool

    def call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, name: str = "",
        recorded: Callable[..., Any] | None = None, writes: Any = None, opaque: bool = False,
    ) -> Any:  # fmt: skip
        """Run `function` on real arrays with nothing recorded inside; record it as one call."""
        ...

    def refuse(self, reason: str) -> None:
        """Note that what happens now cannot be part of a graph."""
        ...

    def note_tensor(self, tensor: Any) -> None:
        """Note a Tensor that was made around an array, not by a recorded call."""
        ...


#: the tracers of all threads that are recording
tracers: list[Tracer] = []


class _PerThread(threading.local):
    tracer: Tracer | None = None


_thread = _PerThread()


def current_tracer() -> Tracer | None:
    """The tracer of this thread, or None."""
    return _thread.tracer


@contextlib.contextmanager
def recording(tracer: Tracer) -> Iterator[None]:
    """Record this thread's calls by `tracer`."""
    outer, _thread.tracer = _thread.tracer, tracer
    tracers.append(tracer)
    try:
        yield
    finally:
        tracers.remove(tracer)
        _thread.tracer = outer


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Record nothing on this thread."""
    outer, _thread.tracer = _thread.tracer, None
    try:
        yield
    finally:
        _thread.tracer = outer


def refuse_recording(reason: str) -> None:
    """Note, if this thread records a graph, that what happens now cannot be part of one."""
    if tracers and _thread.tracer is not None:
        _thread.tracer.refuse(reason)
