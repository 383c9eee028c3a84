"""CUDA graphs: the work of a GPU, captured once and repeated by one launch (torch.cuda.graphs)."""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import Any, ClassVar

from dtrain.backend.capture import Capture, current_capture
from dtrain.backend.device import use_device
from dtrain.cuda.devices import is_available, synchronize
from dtrain.cuda.memory import PrivatePool
from dtrain.cuda.streams import Stream, current_stream

#: ranks may be threads: the device must not be synchronized while one of them captures
_one_at_a_time = threading.RLock()
_ERROR_MODES = ("global", "thread_local", "relaxed")


def is_current_stream_capturing() -> bool:
    """Whether the current stream is captured for a graph
    (torch.cuda.is_current_stream_capturing)."""
    return is_available() and bool(current_stream()._stream.is_capturing())


def graph_pool_handle() -> PrivatePool:
    """Memory that several graphs may share, if they are replayed in the order in which they were
    captured (torch.cuda.graph_pool_handle)."""
    return PrivatePool()


class CUDAGraph:
    """The captured work of a GPU (torch.cuda.CUDAGraph).

    `replay` repeats it on the same memory, to the bits of a step without a graph: random keys and
    the numbers of optimizers, such as learning rates and step counters, are those of the host at
    each replay. All else that Python computes stays as it was when it was captured.

    Parameters
    ----------
    keep_graph : accepted as in PyTorch, without effect
    """

    def __init__(self, keep_graph: bool = False):
        self._graph: Any = None
        self._capture: Capture | None = None
        self._pool: PrivatePool | None = None
        self._ending: contextlib.ExitStack | None = None

    def capture_begin(
        self, pool: PrivatePool | None = None, capture_error_mode: str = "global"
    ) -> None:
        """Begin to capture: work queued on the current stream is recorded, and does not run.

        Parameters
        ----------
        pool : whose memory the graph's arrays have, of another graph or `graph_pool_handle`; if
            None, a new one
        capture_error_mode : "global", "thread_local" or "relaxed"; it chooses nothing here

        Raises
        ------
        RuntimeError
            If a graph is captured already, or the current stream is the default one.
        """
        if capture_error_mode not in _ERROR_MODES:
            raise ValueError(
                f"capture_begin: expected capture_error_mode in {_ERROR_MODES}, got "
                f"{capture_error_mode!r}"
            )
        if self._graph is not None:
            raise RuntimeError("CUDAGraph: it is captured already; call reset() first")
        if current_capture() is not None:
            raise RuntimeError("CUDAGraph: another graph is being captured on this thread")
        stream = current_stream()._stream
        if not stream.ptr:
            raise RuntimeError(
                "CUDA graphs must be captured on a non-default stream: use "
                "`with dtrain.cuda.graph(g):`, or `with dtrain.cuda.stream(dtrain.cuda.Stream()):`"
            )
        self._pool = pool or PrivatePool()
        with contextlib.ExitStack() as entered:
            entered.enter_context(self._pool.used())
            self._capture = Capture()
            entered.enter_context(self._capture.active())
            stream.begin_capture()
            self._ending = entered.pop_all()
        self._stream, self._where = stream, current_stream().device

    def capture_end(self) -> None:
        """End the capture."""
        if self._ending is None:
            raise RuntimeError("CUDAGraph: capture_end() without capture_begin()")
        assert self._capture is not None
        ending, self._ending = self._ending, None
        with ending:
            try:
                self._graph = self._stream.end_capture()
            finally:
                self._capture.end()

    def replay(self) -> None:
        """Queue the captured work on the current stream of its GPU.

        Raises
        ------
        RuntimeError
            If nothing is captured, or what the host gives the kernels does not fit them any more.
        """
        if self._graph is None or self._capture is None:
            raise RuntimeError("CUDAGraph: replay() without a preceding successful capture")
        with use_device(self._where):
            self._capture.write_numbers()
            self._graph.launch()

    def reset(self) -> None:
        """Forget the captured work, and free its memory that no tensor has."""
        self._graph = self._capture = self._pool = None

    def pool(self) -> PrivatePool:
        """The memory of the graph's arrays, for another graph that is replayed after this one."""
        if self._pool is None:
            raise RuntimeError("CUDAGraph: pool() before capture_begin()")
        return self._pool


class graph:
    """Context manager: what its body queues becomes a graph, and does not run (torch.cuda.graph).

    Parameters
    ----------
    cuda_graph : the CUDAGraph
    pool : see `CUDAGraph.capture_begin`
    stream : on which it is captured; if None, one that all captures share

    >>> import dtrain
    >>> def capture(model, x):
    ...     model(x)  # once before: it compiles kernels
    ...     captured = dtrain.cuda.CUDAGraph()
    ...     with dtrain.cuda.graph(captured):
    ...         out = model(x)
    ...     return captured, out  # replay() computes out anew, of what x has then
    """

    #: by device
    _streams: ClassVar[dict[str, Stream]] = {}

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: PrivatePool | None = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
    ):
        self._graph, self._pool, self._mode = cuda_graph, pool, capture_error_mode
        self._stream = stream

    def __enter__(self) -> None:
        stream = self._stream
        if stream is None:
            where = str(current_stream().device)
            if where not in self._streams:
                self._streams[where] = Stream(where)
            stream = self._streams[where]
        with contextlib.ExitStack() as entered:
            entered.enter_context(_one_at_a_time)
            synchronize()
            gc.collect()  # what it frees later would be part of the capture
            entered.enter_context(stream)
            self._graph.capture_begin(self._pool, self._mode)
            self._entered = entered.pop_all()

    def __exit__(self, kind: Any, *exception: object) -> None:
        with self._entered:
            if kind is None:
                self._graph.capture_end()
            else:  # its own error comes from what the body has raised
                with contextlib.suppress(Exception):
                    self._graph.capture_end()
                self._graph.reset()
