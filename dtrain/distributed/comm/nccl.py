"""Device arrays between ranks over NCCL: slices are exchanged, and combined by one kernel.

All work is queued on CuPy's current stream, and the host does not wait for it. The collective log
has events before and after it, by which the watchdog sees that ranks wait.

Where ranks may fail and the others go on, the host waits for each exchange, and looks for failed
ranks meanwhile: a GPU would wait for them for ever.
"""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from dtrain.backend import Array
from dtrain.backend.capture import refuse_capture
from dtrain.distributed.comm.communicator import ArrayCollectives
from dtrain.distributed.comm.polling import poll
from dtrain.distributed.comm.tree_reduce import Interval, contributed_nodes, divide, split
from dtrain.distributed.watchdog.collective_log import CollectiveLog
from dtrain.errors import RankFailedError

#: slices begin at multiples of so many elements, where every GPU reads memory fast
_ALIGNED = 128


def connect(
    comm: Any, log: CollectiveLog, check_ranks: Callable[[], object] | None = None
) -> NcclCollectives | None:
    """Join the ranks of an mpi4py communicator, each with its current GPU.

    None if one of them cannot; then rank 0 says on stderr why, and what to do.

    Parameters
    ----------
    log : the calls of the communicator
    check_ranks : raises if a rank has failed; None where the job ends then
    """
    offers = comm.allgather(_offer(comm.rank))
    reasons = [reason for reason, _ in offers]
    made = None
    if not any(reasons):  # one that cannot even begin would be waited for by the others
        made, reason = _join(comm.rank, comm.size, offers[0][1], log, check_ranks)
        reasons = comm.allgather(reason)
    for rank, reason in enumerate(reasons):
        if reason:
            if comm.rank == 0:
                print(
                    "dtrain: device arrays pass between the ranks through host memory, which is "
                    f"slower than NCCL: rank {rank}: {reason}",
                    file=sys.stderr,
                )
            return None
    return made


def _offer(rank: int) -> tuple[str | None, Any]:
    """Why this rank has no NCCL, or None; and rank 0's unique id for the communicator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy's, that there is no NCCL: one line will say it
        import cupy
        from cupy.cuda import nccl

        if not nccl.available:
            version = cupy.cuda.runtime.runtimeGetVersion() // 1000
            return f"CuPy finds no NCCL library: pip install nvidia-nccl-cu{version}", None
    try:
        return None, nccl.get_unique_id() if rank == 0 else None
    except nccl.NcclError as error:
        return str(error), None


def _join(
    rank: int, size: int, name: Any, log: CollectiveLog, check_ranks: Callable[[], object] | None
) -> tuple[NcclCollectives | None, str | None]:
    from cupy.cuda import nccl

    try:
        joined = _join_ranks(rank, size, name, check_ranks)
        return NcclCollectives(joined, rank, size, log, check_ranks), None
    except nccl.NcclError as error:
        return None, (
            f"{error}. NCCL needs a GPU for each rank: start as many ranks as a machine has GPUs; "
            "with NCCL_DEBUG=WARN it tells more"
        )


def _join_ranks(rank: int, size: int, name: Any, check_ranks: Callable[[], object] | None) -> Any:
    """CuPy's communicator; a rank that fails before all have joined is noticed by `check_ranks`."""
    import cupy
    from cupy.cuda import nccl

    if check_ranks is None:
        return nccl.NcclCommunicator(size, name, rank)
    joined: Future[Any] = Future()
    device = cupy.cuda.Device()

    def join() -> None:
        try:
            with device:
                joined.set_result(nccl.NcclCommunicator(size, name, rank))
        except Exception as error:
            joined.set_exception(error)

    # NCCL waits for a failed rank for ever: then this thread does, until the process ends
    threading.Thread(target=join, name="dtrain-nccl", daemon=True).start()
    poll(joined.done, check_ranks)
    return joined.result()


class NcclCollectives(ArrayCollectives):
    """Collectives of device arrays over an NCCL communicator.

    Parameters
    ----------
    comm : CuPy's communicator
    rank, size : this rank, and the number of ranks
    log : of the communicator whose calls these are
    check_ranks : as of `connect`
    """

    def __init__(
        self,
        comm: Any,
        rank: int,
        size: int,
        log: CollectiveLog,
        check_ranks: Callable[[], object] | None = None,
    ):
        from cupy.cuda import nccl

        self._nccl, self._comm, self._check_ranks = nccl, comm, check_ranks
        self._rank, self._size, self._log = rank, size, log
        self._is_aborted = False
        log.device = self
        self._types = {
            "float16": nccl.NCCL_FLOAT16,
            "bfloat16": nccl.NCCL_BFLOAT16,
            "float32": nccl.NCCL_FLOAT32,
            "float64": nccl.NCCL_FLOAT64,
        }

    def takes(self, array: Array) -> bool:
        """Whether NCCL has this dtype."""
        return array.dtype.name in self._types

    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        # allGather needs equal slices: what is over is the last rank's, who broadcasts it.
        length = len(out) // (self._size * _ALIGNED) * _ALIGNED
        bounds = [*(rank * length for rank in range(self._size)), len(out)]
        own = out[self._rank * length : (self._rank + 1) * length]
        rest = out[self._size * length :]
        stream, byte = _stream(), self._nccl.NCCL_UINT8
        with self._logged():
            self._reduce_slices(partials, out, bounds, count, divisor)
            self._nccl.groupStart()
            if length:
                self._comm.allGather(own.data.ptr, out.data.ptr, own.nbytes, byte, stream)
            if len(rest):
                self._comm.broadcast(
                    rest.data.ptr, rest.data.ptr, rest.nbytes, byte, self._size - 1, stream
                )
            self._nccl.groupEnd()

    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        with self._logged():
            self._reduce_slices(partials, out, bounds, count, divisor)

    def _reduce_slices(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float,
    ) -> None:
        import cupy

        plans = [contributed_nodes(rank, self._size, count) for rank in range(self._size)]
        others = [rank for rank in range(self._size) if rank != self._rank]
        own = slice(bounds[self._rank], bounds[self._rank + 1])
        length = own.stop - own.start
        received = tuple(interval for rank in others for interval in plans[rank])
        inbox = cupy.empty(len(received) * length, out.dtype)
        rows = iter(range(0, len(inbox), length or 1))
        self._nccl.groupStart()
        for rank in others:
            for partial in partials:
                self._send(partial[bounds[rank] : bounds[rank + 1]], rank)
            for _, start in zip(plans[rank], rows):
                self._receive(inbox[start : start + length], rank)
        self._nccl.groupEnd()
        kernel = _combine_kernel(plans[self._rank], received, count)
        exact = float(out.dtype.type(divisor))  # as `tree_reduce.combine` divides
        kernel(*(partial[own] for partial in partials), inbox, length, exact, out[own])

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        with self._logged():
            self._nccl.groupStart()
            for rank in range(self._size):
                if rank != self._rank:
                    self._send(flat[bounds[self._rank] : bounds[self._rank + 1]], rank)
                    self._receive(flat[bounds[rank] : bounds[rank + 1]], rank)
            self._nccl.groupEnd()

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        kind, pointer = self._types[flat.dtype.name], flat.data.ptr
        with self._logged():
            self._comm.allReduce(pointer, pointer, len(flat), kind, self._nccl.NCCL_SUM, _stream())
        if divisor != 1:
            divide(flat, divisor)

    def find_error(self) -> str | None:
        """NCCL's asynchronous error, such as the end of another rank's process."""
        try:
            self._comm.check_async_error()
        except self._nccl.NcclError as error:
            return str(error)
        return None

    def abort(self) -> None:
        """End the exchanges in progress."""
        if not self._is_aborted:
            self._is_aborted = True
            self._comm.abort()

    def leave(self) -> None:
        """End the communicator: nothing is exchanged by it any more."""
        self.abort()
        self._log.device = None
        self._log.queued.clear()

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """Note in the log the work that is queued inside."""
        import cupy

        refuse_capture("it cannot have exchanges between ranks: capture the work of one rank")
        begin, end = (cupy.cuda.Event(disable_timing=True) for _ in range(2))
        begin.record()
        yield
        end.record()
        if self._check_ranks is None:
            self._log.queue(lambda: begin.done, lambda: end.done)
        else:
            self._wait(end)

    def _wait(self, end: Any) -> None:
        """Wait on the host for an event; raises if a rank fails meanwhile."""

        def check() -> None:
            assert self._check_ranks is not None
            self._check_ranks()
            if error := self.find_error():
                raise RankFailedError(f"a rank failed: {error}")

        try:
            poll(lambda: bool(end.done), check)
        except Exception:
            self.abort()
            raise

    def _send(self, part: Array, rank: int) -> None:
        if len(part):
            self._comm.send(part.data.ptr, part.nbytes, self._nccl.NCCL_UINT8, rank, _stream())

    def _receive(self, part: Array, rank: int) -> None:
        if len(part):
            self._comm.recv(part.data.ptr, part.nbytes, self._nccl.NCCL_UINT8, rank, _stream())


def _stream() -> int:
    import cupy

    return cupy.cuda.get_current_stream().ptr


@functools.lru_cache(maxsize=1024)
def _combine_kernel(own: tuple[Interval, ...], received: tuple[Interval, ...], count: int) -> Any:
    """The sums of `tree_reduce.combine` over all partial sums, in its order, as one kernel.

    Its arguments: this rank's partial sums, the other ranks' one after another in one array, how
    many elements each has, the divisor, and where to write; that may be one of the partial sums.
    """
    import cupy

    values = {interval: f"own{k}" for k, interval in enumerate(own)}
    values |= {interval: f"T(inbox[{k} * length + i])" for k, interval in enumerate(received)}
    lines: list[str] = []

    def total(low: int, high: int) -> str:
        if (low, high) in values:
            return values[low, high]
        middle = split(low, high)
        left, right = total(low, middle), total(middle, high)
        # A variable of its own is rounded to its type, as an element of an array is.
        lines.append(f"T sum{len(lines)} = {left} + {right};")
        return f"sum{len(lines) - 1}"

    lines.append(f"out = {total(0, count)} / T(divisor);")
    partials = [f"T own{k}" for k in range(len(own))]
    inputs = ", ".join([*partials, "raw T inbox", "int64 length", "float64 divisor"])
    return cupy.ElementwiseKernel(inputs, "T out", "\n".join(lines), "combine")
