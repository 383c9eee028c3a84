"""Streams, queues of a GPU's work, and events recorded in them (torch.cuda.streams)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from dtrain.backend.device import device as Device, use_device
from dtrain.cuda.devices import gpu_name


class Stream:
    """A queue of work on a GPU (torch.cuda.Stream); as a context manager, the current stream.

    Parameters
    ----------
    device : the GPU; default: the current one
    priority : lower numbers run first; 0 is the ordinary one
    """

    def __init__(self, device: Device | str | int | None = None, priority: int = 0):
        where = gpu_name(device)
        with use_device(where):
            import cupy

            self._set(cupy.cuda.Stream(non_blocking=True, priority=priority), where)

    def _set(self, stream: Any, where: str) -> None:
        self._stream = stream
        self.device: Device = Device(where)

    @property
    def cuda_stream(self) -> int:
        """The address of CUDA's own object (torch.cuda.Stream.cuda_stream)."""
        return int(self._stream.ptr)

    def synchronize(self) -> None:
        """Wait until all work of the stream is done (torch.cuda.Stream.synchronize)."""
        self._stream.synchronize()

    def query(self) -> bool:
        """Whether all work of the stream is done (torch.cuda.Stream.query)."""
        return bool(self._stream.done)

    def record_event(self, event: Event | None = None) -> Event:
        """Record an event, by default a new one; returns it (torch.cuda.Stream.record_event)."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let later work of the stream wait for an event (torch.cuda.Stream.wait_event)."""
        self._stream.wait_event(event._event)

    def wait_stream(self, stream: Stream) -> None:
        """Let later work wait for the present work of another (torch.cuda.Stream.wait_stream)."""
        self.wait_event(stream.record_event())

    def __enter__(self) -> Stream:
        self._stream.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.__exit__(None, None, None)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Stream) and self.device == other.device
        return same and isinstance(other, Stream) and self.cuda_stream == other.cuda_stream

    def __hash__(self) -> int:
        return hash((self.cuda_stream, self.device))

    def __repr__(self) -> str:
        return f"dtrain.cuda.Stream(device={self.device}, cuda_stream={self.cuda_stream:#x})"


class Event:
    """A point in a stream's work, to wait for or to time (torch.cuda.Event).

    Parameters
    ----------
    enable_timing : whether `elapsed_time` can be called
    blocking : whether `synchronize` sleeps instead of polling
    interprocess : whether other processes can use it
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ):
        with use_device(gpu_name(None)):
            import cupy

            self._event = cupy.cuda.Event(blocking, not enable_timing, interprocess)

    def record(self, stream: Stream | None = None) -> None:
        """Record the event in a stream, by default the current one (torch.cuda.Event.record)."""
        self._event.record(None if stream is None else stream._stream)

    def wait(self, stream: Stream | None = None) -> None:
        """Let later work of a stream wait for this event (torch.cuda.Event.wait)."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether the work recorded before the event is done (torch.cuda.Event.query)."""
        return bool(self._event.done)

    def synchronize(self) -> None:
        """Wait until the work recorded before the event is done (torch.cuda.Event.synchronize)."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """The milliseconds from this event to another (torch.cuda.Event.elapsed_time)."""
        import cupy

        return float(cupy.cuda.get_elapsed_time(self._event, end_event._event))


def _wrap(stream: Any, where: str) -> Stream:
    wrapped = object.__new__(Stream)
    wrapped._set(stream, where)
    return wrapped


def current_stream(device: Device | str | int | None = None) -> Stream:
    """The stream to which a GPU's work is submitted (torch.cuda.current_stream)."""
    with use_device(gpu_name(device)):
        import cupy

        return _wrap(cupy.cuda.get_current_stream(), gpu_name(device))


def default_stream(device: Device | str | int | None = None) -> Stream:
    """The stream of a GPU's work unless another is set (torch.cuda.default_stream)."""
    with use_device(gpu_name(device)):
        import cupy

        return _wrap(cupy.cuda.Stream.null, gpu_name(device))


def set_stream(stream: Stream) -> None:
    """Make a stream the current one (torch.cuda.set_stream)."""
    stream._stream.use()


def stream(stream: Stream | None) -> AbstractContextManager[Any]:
    """Context manager: the stream is the current one in its body; None changes nothing.

    (torch.cuda.stream)
    """
    return nullcontext() if stream is None else stream
