"""Ranks as threads of one process: the communicator of `dtrain debug` and of tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from dtrain.backend import Array
from dtrain.backend.profiler import span
from dtrain.distributed import world
from dtrain.distributed.blas_threads import limit_blas_threads
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import (
    Interval,
    combine,
    contributed_nodes,
    equal_bounds,
)
from dtrain.distributed.watchdog.call_site import thread_call_site
from dtrain.distributed.watchdog.collective_log import describe_array
from dtrain.errors import DesyncError, RankFailedError

P = ParamSpec("P")
R = TypeVar("R")

_WAIT_S = 0.2  # between two checks of the main thread for signals


class ThreadWorld:
    """The rendezvous of ranks that are threads of one process."""

    def __init__(self, size: int):
        self.size = size
        self._changed = threading.Condition()
        #: by waiting rank: its call, its value, its thread
        self._waiting: dict[int, tuple[str, Any, int]] = {}
        self._exited: dict[int, str] = {}  # by rank that makes no further call: why
        self._meeting = 0
        self._values: list[Any] = []
        self._duplicates: list[ThreadWorld] = []

    def meet(self, rank: int, call: str, value: Any = None) -> list[Any]:
        """Wait until every rank is in the same call; returns their values in rank order.

        Raises
        ------
        RankFailedError
            As soon as a rank that is waited for has ended.
        DesyncError
            When the ranks wait in different calls.
        """
        with span(call), self._changed:
            self._waiting[rank] = (call, value, threading.get_ident())
            if len(self._waiting) == self.size:
                calls = {r: self._waiting[r][0] for r in sorted(self._waiting)}
                if len(set(calls.values())) > 1:
                    self._exited[rank] = "found that the ranks disagree"
                    self._changed.notify_all()
                    raise DesyncError(
                        "the ranks wait for each other in different calls: "
                        + ", ".join(f"rank {r} in {self._describe_call(r)}" for r in calls)
                    )
                self._values = [self._waiting[r][1] for r in range(self.size)]
                self._waiting = {}
                self._meeting += 1
                self._changed.notify_all()
                return self._values
            meeting = self._meeting
            while self._meeting == meeting:
                if self._exited:
                    who, why = next(iter(self._exited.items()))
                    call = self._describe_call(rank)
                    raise RankFailedError(
                        f"rank {rank} waited in {call} for rank {who}, which {why}"
                    )
                self._changed.wait()
            return self._values

    def _describe_call(self, rank: int) -> str:
        """The call that a rank waits in, and its line of the user's program."""
        call, _, thread = self._waiting[rank]
        return f"{call} ({thread_call_site(thread)})"

    def leave(self, rank: int, why: str) -> None:
        """Tell the other ranks that this one makes no further call."""
        with self._changed:
            self._exited[rank] = why
            self._changed.notify_all()
        for duplicate in self._duplicates:
            duplicate.leave(rank, why)

    def duplicate(self) -> ThreadWorld:
        """Another rendezvous of the same ranks."""
        self._duplicates.append(ThreadWorld(self.size))
        return self._duplicates[-1]


class ThreadCommunicator(Communicator):
    """The communicator of a rank that is a thread."""

    over_network, elastic = False, False

    def __init__(self, world: ThreadWorld, rank: int):
        self._world = world
        self.rank, self.size = rank, world.size

    def duplicate(self) -> ThreadCommunicator:
        made = self._world.duplicate() if self.rank == 0 else None
        return ThreadCommunicator(self._world.meet(self.rank, "duplicate", made)[0], self.rank)

    def clock_offset_ns(self) -> int:
        return 0  # one process, one clock

    def barrier(self) -> None:
        self._world.meet(self.rank, "barrier")

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return self._world.meet(self.rank, "broadcast", value)[root]

    def allgather(self, value: Any, what: str = "a value") -> list[Any]:
        return list(self._world.meet(self.rank, f"allgather for {what}", value))

    def empty(self, size: int, dtype: np.dtype) -> np.ndarray:
        return np.empty(size, dtype)

    def all_reduce(
        self, partials: Sequence[Array], out: Array, count: int, divisor: float = 1
    ) -> None:
        bounds = equal_bounds(len(out), self.size)
        parts, outs = self._open("all_reduce", partials, out, count)
        combine(parts, (0, count), outs, slice(*bounds[self.rank : self.rank + 2]), divisor)
        self._world.meet(self.rank, "all_reduce")  # no rank returns while another writes

    def reduce_scatter(
        self,
        partials: Sequence[Array],
        out: Array,
        bounds: Sequence[int],
        count: int,
        divisor: float = 1,
    ) -> None:
        parts, _ = self._open("reduce_scatter", partials, out, count)
        combine(parts, (0, count), [out], slice(*bounds[self.rank : self.rank + 2]), divisor)
        self._world.meet(self.rank, "reduce_scatter")

    def all_to_all_slices(
        self, flats: Sequence[np.ndarray], bounds: Sequence[int], count: int
    ) -> list[np.ndarray]:
        ranks = self._world.meet(self.rank, f"all_to_all{describe_array(flats[0])}", flats)
        own = slice(*bounds[self.rank : self.rank + 2])
        slices = [flat[own].copy() for theirs in ranks for flat in theirs]
        self._world.meet(self.rank, "all_to_all")
        return slices

    def all_gather_slices(self, flat: Array, bounds: Sequence[int]) -> None:
        flats = self._world.meet(self.rank, f"all_gather{describe_array(flat)}", flat)
        for other, a, b in zip(flats, bounds, bounds[1:]):
            if other is not flat:
                flat[a:b] = other[a:b]
        self._world.meet(self.rank, "all_gather")

    def native_all_reduce(self, flat: Array, divisor: float = 1) -> None:
        self.all_reduce([flat], flat, self.size, divisor)

    def _open(
        self, call: str, partials: Sequence[Array], out: Array, count: int
    ) -> tuple[dict[Interval, Array], list[Array]]:
        """All ranks' partial sums by tree node, and their `out` arrays."""
        opened = self._world.meet(self.rank, f"{call}{describe_array(out)}", (partials, out))
        parts = {
            interval: partial
            for rank, (theirs, _) in enumerate(opened)
            for interval, partial in zip(contributed_nodes(rank, self.size, count), theirs)
        }
        return parts, [theirs for _, theirs in opened]


def run_ranks(size: int, body: Callable[P, R], *args: P.args, **options: P.kwargs) -> list[R]:
    """Run ``body(*args, **options)`` as `size` ranks, each a thread of this process.

    For tests and debuggers: the ranks share the interpreter, so they are no faster than one.

    Parameters
    ----------
    size : number of ranks
    body : what each rank runs; inside, `rank()` and `world_size()` are those of the thread
    args, options : arguments of `body`, the same objects on all ranks

    Returns
    -------
    list
        The ranks' results, in rank order.

    Raises
    ------
    BaseException
        The first exception that a rank raised, with the rank as its attribute `rank`; the other
        ranks end at their next collective call.

    Examples
    --------
    >>> from dtrain import distributed
    >>> def body(x):
    ...     return distributed.all_gather(x * distributed.rank())
    >>> distributed.run_ranks(3, body, 10)
    [[0, 10, 20], [0, 10, 20], [0, 10, 20]]
    """
    shared = ThreadWorld(size)
    results: dict[int, R] = {}
    failures: list[tuple[int, BaseException]] = []

    def run(rank: int) -> None:
        limit_blas_threads(announce=False)
        world.set_communicator(ThreadCommunicator(shared, rank))
        try:
            results[rank] = body(*args, **options)
            shared.leave(rank, "has ended")
        except BaseException as failure:  # SystemExit and KeyboardInterrupt end a rank too
            if isinstance(failure, SystemExit) and not failure.code:
                return shared.leave(rank, "has ended")
            failures.append((rank, failure))
            shared.leave(rank, f"raised {type(failure).__name__}: {failure}")

    ranks = [
        threading.Thread(target=run, args=(rank,), name=f"rank {rank}", daemon=True)
        for rank in range(size)
    ]
    for thread in ranks:
        thread.start()
    for thread in ranks:
        while thread.is_alive():  # a signal that comes just before a wait does not end the wait
            thread.join(_WAIT_S)
    if failures:
        # Those who waited for a failed rank failed after it.
        rank, failure = next(
            (f for f in failures if not isinstance(f[1], RankFailedError)), failures[0]
        )
        failure.rank = rank  # type: ignore[attr-defined]
        raise failure
    # a rank that left by sys.exit() has no result
    return [cast(R, results.get(rank)) for rank in range(size)]
