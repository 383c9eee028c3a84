"""Numbers that the host gives a CUDA graph at each replay.

A graph runs its kernels with the arguments they had when it was captured. Random keys, learning
rates and step counters differ from step to step: while a graph is captured, kernels are given
`ReplayedNumber`s in their place, and read the numbers from device memory. The parts of the step
that gave them run again on the host before each replay, in their order and without launches, so
that the numbers are those of a step without a graph.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array

#: The captures of all threads, so that a launch looks for its thread's own only while there is one.
captures: list[Capture] = []
#: The bytes of device memory for the numbers of a graph; a number takes 8, a random key 40.
_MEMORY = 1 << 20
#: How many replays may wait for the GPU, each with numbers of its own in host memory.
_IN_FLIGHT = 8


class _PerThread(threading.local):
    capture: Capture | None = None


_thread = _PerThread()


def current_capture() -> Capture | None:
    """What this thread captures, or replays on the host; or None."""
    return _thread.capture


class ReplayedNumber:
    """Stands for a number, or a random key, among a kernel's arguments: the graph reads it from
    device memory.

    Parameters
    ----------
    memory : uint64 on the device; the number is in its first bytes
    """

    __slots__ = ("memory",)

    def __init__(self, memory: Array):
        self.memory: Array = memory


class Capture:
    """The numbers of one CUDA graph, and the parts of the step that give them.

    It is made on the graph's device, and takes memory from CuPy's current allocator.
    """

    def __init__(self) -> None:
        import cupy

        self._replays: list[Callable[[], object]] = []
        #: whether a part of the step runs whose kernels' numbers change
        self.in_part: bool = False
        self._memory = cupy.empty(_MEMORY // 8, np.uint64)
        #: of the captured step, in the order in which they were given: how many bytes each has
        self._sizes: list[int] = []
        self._used = 0
        self._options: list[list[int]] = []  # by kernel
        self._given_options: list[list[int]] = []
        #: of the replay that is prepared; None while the graph is captured
        self._given: list[Any] | None = None
        self._in_flight: deque[tuple[Any, Any]] = deque()  # event, pinned memory
        #: the random keys that were drawn
        self.keys: list[ReplayedNumber] = []
        self._repeated: Iterator[ReplayedNumber] | None = None
        #: called when the capture has ended: they restore what a step changes on the host
        self.on_end: list[Callable[[], object]] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Context manager: this thread's kernels are captured, or left out in a replay."""
        outer, _thread.capture = _thread.capture, self
        captures.append(self)
        try:
            yield
        finally:
            captures.remove(self)
            _thread.capture = outer

    def run(self, part: Callable[[], object], replay: Callable[[], object]) -> None:
        """Run a part of the step whose kernels' numbers change, and `replay` before each replay.

        Both may launch kernels of `dtrain.backend.kernels.cuda` alone, and the same ones.
        """
        self._replays.append(replay)
        self._run(part)

    def _run(self, part: Callable[[], object]) -> None:
        self.in_part = True
        try:
            part()
        finally:
            self.in_part = False

    def replaced(self, arguments: Sequence[Any]) -> Sequence[Any] | None:
        """A kernel's arguments with `ReplayedNumber`s for the floating-point numbers of a part of
        the step. Its integers are sizes and options, which must not change.

        None for a kernel that is not to be launched, as the graph has it.
        """
        if not self.in_part:
            return arguments
        numbers = [value for value in arguments if isinstance(value, np.floating)]
        options = [int(value) for value in arguments if isinstance(value, np.integer)]
        if self.is_replaying:
            if numbers:
                self._give(*numbers)
                self._given_options.append(options)
            return None
        if numbers:
            self._options.append(options)
        return [self._take(a) if isinstance(a, np.floating) else a for a in arguments]

    def key(self, draw: Callable[[], np.ndarray]) -> ReplayedNumber:
        """Draw a random key, now and before each replay; returns where kernels read it."""
        if self._repeated is not None:
            return next(self._repeated)
        self._replays.append(lambda: self._give(draw()))
        self.keys.append(self._take(draw()))
        return self.keys[-1]

    @contextlib.contextmanager
    def repeating(self, keys: Sequence[ReplayedNumber]) -> Iterator[None]:
        """Context manager: draws have these keys, of a run that is run again."""
        outer, self._repeated = self._repeated, iter(keys)
        try:
            yield
        finally:
            self._repeated = outer

    def _give(self, *numbers: Any) -> None:
        assert self._given is not None
        self._given += numbers

    def _take(self, number: Any) -> ReplayedNumber:
        begin, size = self._used, -(-number.nbytes // 8)
        self._used += size
        if self._used > len(self._memory):
            raise RuntimeError(
                f"CUDA graph: its kernels need more than {_MEMORY >> 20} MB of numbers that change "
                "from step to step: capture fewer steps"
            )
        self._sizes.append(number.nbytes)
        return ReplayedNumber(self._memory[begin : self._used])

    @property
    def is_replaying(self) -> bool:
        """Whether a replay is prepared, and nothing is captured."""
        return self._given is not None

    def end(self) -> None:
        """Restore what the captured step has changed on the host: it has not run."""
        for restore in reversed(self.on_end):
            restore()
        self.on_end.clear()

    def write_numbers(self) -> None:
        """Run the host's parts of a step, and queue the copy of their numbers to the device.

        Raises
        ------
        RuntimeError
            If they launch other kernels than they did when the graph was captured.
        """
        given: list[Any] = []
        self._given, self._given_options = given, []
        with self.active():
            for replay in self._replays:
                self._run(replay)
        sizes = [number.nbytes for number in given]
        if (sizes, self._given_options) != (self._sizes, self._options):
            raise RuntimeError(
                "CUDA graph: the optimizer's options, or its parameters, are not those of the "
                "captured step: capture it again"
            )
        if given:
            self._copy(b"".join([_padded(number.tobytes()) for number in given]))

    def _copy(self, packed: bytes) -> None:
        """Queue a copy to the numbers' device memory."""
        import cupy

        stream, pinned = cupy.cuda.get_current_stream(), self._take_pinned()
        host = np.frombuffer(pinned, np.uint8, len(packed))
        host[...] = np.frombuffer(packed, np.uint8)
        self._memory.data.copy_from_host_async(host.ctypes.data, len(packed), stream)
        self._in_flight.append((stream.record(), pinned))

    def _take_pinned(self) -> Any:
        """Pinned memory that no copy reads any more."""
        import cupy

        if len(self._in_flight) == _IN_FLIGHT:
            self._in_flight[0][0].synchronize()
        if self._in_flight and self._in_flight[0][0].done:
            return self._in_flight.popleft()[1]
        return cupy.cuda.alloc_pinned_memory(8 * self._used)


def _padded(number: bytes) -> bytes:
    return number.ljust(-(-len(number) // 8) * 8)


def refuse_capture(reason: str) -> None:
    """Raise RuntimeError if this thread captures a CUDA graph, which cannot have what follows."""
    if captures and _thread.capture is not None:
        raise RuntimeError(f"CUDA graph: {reason}")


def refuse_host_array() -> None:
    """`refuse_capture` of a copy from host memory."""
    refuse_capture(
        "a host array is copied to the GPU, which each replay would copy from the same memory: "
        "make a tensor on the GPU before the capture, and copy_() to it before each replay()"
    )
