"""`profile`: records the operations and the named spans of the thread that starts it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from dtrain.backend import profiler
from dtrain.backend.profiler import Span
from dtrain.cuda import is_available
from dtrain.profiler.averages import EventList, average
from dtrain.profiler.operations import stop_timing, time_operations
from dtrain.profiler.schedules import ProfilerAction

_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


class ProfilerActivity(Enum):
    """What is timed (torch.profiler.ProfilerActivity): CUDA waits for the GPU in each operation."""

    CPU = 0
    XPU = 1
    CUDA = 2


def supported_activities() -> set[ProfilerActivity]:
    """The activities that can be timed here (torch.profiler.supported_activities)."""
    return {ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_available() else [])}


class record_function(contextlib.ContextDecorator):
    """Context manager and decorator: a span with a name (torch.profiler.record_function).

    `dtrain run --trace` shows it, too.
    """

    def __init__(self, name: str, args: str | None = None):
        self.name = name

    def __enter__(self) -> record_function:
        self._span = profiler.span(self.name)
        self._span.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._span.__exit__(*exception)


class profile:
    """Context manager: record where the time of its body goes (torch.profiler.profile).

    Recorded are the primitives of the forward pass, `record_function`, and the spans that
    `dtrain run --trace` has: the backward pass as a whole, the optimizer, the loader, the
    exchange of gradients. It is the thread's own time that is recorded.

    Parameters
    ----------
    activities : with ProfilerActivity.CUDA each operation waits for the GPU, so that its time
        is that of its kernels; default: all that there are
    schedule : the action at each step, as `dtrain.profiler.schedule` makes it; default: record
    on_trace_ready : called with the profiler when a cycle of the schedule, or the body, ends
    record_shapes, profile_memory, with_stack, with_flops, with_modules, experimental_config,
        acc_events : without effect: times alone are recorded

    Examples
    --------
    >>> import dtrain
    >>> with profile() as prof, record_function("forward"):
    ...     _ = dtrain.ones(2) + 1
    >>> [event.key for event in prof.key_averages()]
    ['forward', 'add']
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        acc_events: bool = False,
    ):
        chosen = supported_activities() if activities is None else set(activities)
        self._waits = ProfilerActivity.CUDA in chosen and is_available()
        self._schedule = schedule
        self._on_trace_ready = on_trace_ready
        self.step_num: int = 0
        self._spans: list[Span] = []
        self._outer: Any = None  # what records the spans of this thread otherwise
        self._recording = False
        self._step_began = 0

    @property
    def current_action(self) -> ProfilerAction:
        """The action of the current step."""
        if self._schedule is None:
            return ProfilerAction.RECORD
        return self._schedule(self.step_num)

    def start(self) -> None:
        """Begin the first step."""
        self._follow_schedule()

    def stop(self) -> None:
        """End the last step; calls `on_trace_ready` if it was recorded."""
        if self._recording:
            self._stop_recording()
            self._hand_over()

    def step(self) -> None:
        """End a step and begin the next (torch.profiler.profile.step)."""
        if self._recording:
            now = time.perf_counter_ns()
            self._spans.append((f"ProfilerStep#{self.step_num}", self._step_began, now))
        if self.current_action is ProfilerAction.RECORD_AND_SAVE:
            self._stop_recording()
            self._hand_over()
        self.step_num += 1
        self._follow_schedule()

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _follow_schedule(self) -> None:
        wanted = self.current_action in _RECORDING
        if wanted and not self._recording:
            self._spans = []
            self._outer = profiler.recorded()
            profiler.record(self._spans)
            time_operations(self._waits)
            self._recording = True
        self._step_began = time.perf_counter_ns()

    def _stop_recording(self) -> None:
        stop_timing()
        profiler.record(self._outer)
        if self._outer is not None:
            self._outer.extend(self._spans)
        self._recording = False

    def _hand_over(self) -> None:
        if self._on_trace_ready is not None:
            self._on_trace_ready(self)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0
    ) -> EventList:
        """The time of each name (torch.profiler.profile.key_averages)."""
        return average([self._spans])

    def events(self) -> list[Span]:
        """The spans: name, begin and end in nanoseconds."""
        return sorted(self._spans, key=lambda span: (span[1], -span[2]))

    def export_chrome_trace(self, path: str | Path) -> None:
        """Write the spans for ui.perfetto.dev or chrome://tracing."""
        place = {"pid": os.getpid(), "tid": threading.get_native_id()}
        events = [
            {"name": name, "ph": "X", "ts": began / 1e3, "dur": (ended - began) / 1e3, **place}
            for name, began, ended in self.events()
        ]
        Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """An `on_trace_ready` that writes each trace to a file (torch.profiler's, for TensorBoard).

    Parameters
    ----------
    dir_name : the folder, which is made
    worker_name : the beginning of the file's name; default: host and process
    use_gzip : whether the files are compressed
    """

    def write(prof: profile) -> None:
        folder = Path(dir_name)
        folder.mkdir(parents=True, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        path = folder / f"{worker}.{time.time_ns()}.pt.trace.json"
        prof.export_chrome_trace(path)
        if use_gzip:
            import gzip

            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()

    return write
