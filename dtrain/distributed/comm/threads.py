"""Ranks as threads of one process: the communicator of `dtrain debug` and of tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np

from dtrain.backend import Array
from dtrain.backend.profiler import span
from dtrain.distributed import world
from dtrain.distributed.blas_threads import limit_blas_threads
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.messages import Transfer, require_same_kind
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
        #: worlds of the same ranks, or of some of them: by their number there, their number here
        self._derived: list[tuple[ThreadWorld, Sequence[int]]] = []
        self._sent: dict[int, list[_Message]] = {}  # by receiver: messages not received yet
        self._receives: dict[int, list[_Receive]] = {}  # by receiver: receives without a message

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
                if len({waiting for waiting, _, _ in self._waiting.values()}) > 1:
                    raise self._disagreement(rank)
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

    def _disagreement(self, rank: int) -> DesyncError:
        """The error that `rank` raises for all ranks: they wait in calls that cannot end."""
        self._exited[rank] = "found that the ranks disagree"
        self._changed.notify_all()
        return DesyncError(
            "the ranks wait for each other in different calls: "
            + ", ".join(f"rank {r} in {self._describe_call(r)}" for r in sorted(self._waiting))
        )

    # --- messages between two ranks ---

    def send(self, message: _Message, to: int) -> None:
        """Deliver a message to the first receive that takes it, or keep it."""
        with self._changed:
            receives = self._receives.get(to, [])
            for receive in receives:
                if receive.takes(message):
                    receive.message = message
                    receives.remove(receive)
                    if receive.is_awaited:
                        self._waiting.pop(to, None)
                    self._changed.notify_all()
                    return
            self._sent.setdefault(to, []).append(message)

    def receive(self, rank: int, source: int | None, tag: int) -> _Receive:
        """Take the first message that has been sent, or wait for one in the background."""
        with self._changed:
            receive = _Receive(source, tag)
            messages = self._sent.get(rank, [])
            receive.message = next((m for m in messages if receive.takes(m)), None)
            if receive.message is None:
                self._receives.setdefault(rank, []).append(receive)
            else:
                messages.remove(receive.message)
            return receive

    def wait(self, rank: int, receive: _Receive) -> _Message:
        """Wait for the message of a receive."""
        name = f"recv from {'any rank' if receive.source is None else f'rank {receive.source}'}"
        with span(name), self._changed:
            if receive.message is None:
                receive.is_awaited = True
                self._waiting[rank] = (name, None, threading.get_ident())
            while receive.message is None:
                others = {receive.source} if receive.source is not None else set(range(self.size))
                if others - {rank} <= set(self._exited):
                    who = min(others - {rank})
                    raise RankFailedError(
                        f"rank {rank} waited in {self._describe_call(rank)} for rank {who}, which "
                        f"{self._exited[who]}"
                    )
                if len(self._waiting) + len(self._exited) >= self.size:
                    raise self._disagreement(rank)
                self._changed.wait()
            return receive.message

    def _describe_call(self, rank: int) -> str:
        """The call that a rank waits in, and its line of the user's program."""
        call, _, thread = self._waiting[rank]
        return f"{call} ({thread_call_site(thread)})"

    def leave(self, rank: int, why: str) -> None:
        """Tell the other ranks that this one makes no further call."""
        with self._changed:
            self._exited[rank] = why
            self._changed.notify_all()
        for derived, ranks in self._derived:
            if rank in ranks:
                derived.leave(ranks.index(rank), why)

    def derive(self, ranks: Sequence[int]) -> ThreadWorld:
        """Another rendezvous of some of the ranks."""
        self._derived.append((ThreadWorld(len(ranks)), ranks))
        return self._derived[-1][0]


class _Message(NamedTuple):
    """An array that a rank has sent."""

    source: int
    tag: int
    flat: np.ndarray


@dataclass(eq=False)
class _Receive:
    """What a rank is to receive, and the message once there is one."""

    source: int | None
    tag: int
    message: _Message | None = None
    is_awaited: bool = False

    def takes(self, message: _Message) -> bool:
        """Whether it receives this message."""
        return self.source in (None, message.source) and self.tag == message.tag


class _ThreadTransfer(Transfer):
    """A message to this rank."""

    def __init__(self, world: ThreadWorld, rank: int, receive: _Receive, flat: np.ndarray):
        self._world, self._rank = world, rank
        self._receive, self._flat = receive, flat
        self._is_copied = False

    def is_complete(self) -> bool:
        message = self._receive.message
        if message is not None and not self._is_copied:
            require_same_kind(message.flat, self._flat, message.source, message.tag)
            self._flat[...] = message.flat
            self._is_copied = True
        return message is not None

    def wait(self) -> int:
        message = self._world.wait(self._rank, self._receive)
        self.is_complete()
        return message.source


class _SentTransfer(Transfer):
    """A message that was copied for its receiver."""

    def __init__(self, to: int):
        self._to = to

    def is_complete(self) -> bool:
        return True

    def wait(self) -> int:
        return self._to


class ThreadCommunicator(Communicator):
    """The communicator of a rank that is a thread."""

    over_network: bool = False
    elastic: bool = False

    def __init__(self, world: ThreadWorld, rank: int):
        self._world = world
        self.rank: int = rank
        self.size: int = world.size
        self.node_size: int = world.size

    def duplicate(self) -> ThreadCommunicator:
        made = self._world.derive(range(self.size)) if self.rank == 0 else None
        return ThreadCommunicator(self._world.meet(self.rank, "duplicate", made)[0], self.rank)

    def subgroup(self, ranks: Sequence[int]) -> ThreadCommunicator | None:
        call = f"subgroup of ranks {', '.join(map(str, ranks))}"
        made = self._world.derive(list(ranks)) if self.rank == 0 else None
        derived = self._world.meet(self.rank, call, made)[0]
        return ThreadCommunicator(derived, ranks.index(self.rank)) if self.rank in ranks else None

    def isend(self, flat: np.ndarray, to: int, tag: int = 0) -> Transfer:
        self._world.send(_Message(self.rank, tag, flat.copy()), to)
        return _SentTransfer(to)

    def irecv(self, flat: np.ndarray, source: int | None, tag: int = 0) -> Transfer:
        return _ThreadTransfer(
            self._world, self.rank, self._world.receive(self.rank, source, tag), flat
        )

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

    def empty_on_node(self, size: int, dtype: np.dtype) -> np.ndarray:
        flat = np.empty(size, dtype) if self.rank == 0 else None
        return self._world.meet(self.rank, f"empty_on_node of {size} x {dtype}", flat)[0]

    def complete_on_nodes(
        self, flats: Sequence[np.ndarray], bounds: Sequence[Sequence[int]]
    ) -> None:
        self._world.meet(self.rank, "complete_on_nodes")

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

    For notebooks, tests and debuggers. The ranks share the interpreter and are no faster than one.

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
    TypeError, ValueError
        If `size` is no number of ranks, or `body` no function.
    BaseException
        The first exception that a rank raised, with the rank as its attribute `rank`; the other
        ranks end at their next collective call.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain import distributed
    >>> def body(x):
    ...     return distributed.all_reduce(dtrain.tensor(x * distributed.rank())).item()
    >>> distributed.run_ranks(3, body, 10)
    [30, 30, 30]
    """
    if not callable(body) or isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError(
            "run_ranks: expected the number of ranks, then what each of them runs, as "
            f"run_ranks(2, body); got {size!r} and {body!r}"
        )
    if size < 1:
        raise ValueError(f"run_ranks: expected at least 1 rank, got {size}")
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
