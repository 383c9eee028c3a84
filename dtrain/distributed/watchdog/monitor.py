"""No silent hang: a thread on each rank tells, while its rank waits, what the rank waits in.

The threads talk on a communicator of their own, and only when a rank has waited for more than a
second. That rank tells the judge, which is the lowest rank that answers; the judge asks all
others what they do, and `judge.py` finds who is waited for. Where the ranks can never meet, the
judge ends the job.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.call_site import call_site
from dtrain.distributed.watchdog.collective_log import Calls
from dtrain.distributed.watchdog.diagnosis import Judge, State
from dtrain.errors import DtrainError

_TICK_S = 0.25
_PATIENCE_S = 1.0  # a rank that waits for less says nothing
_EVERY_S = 1.0  # between two questions of the judge, and between two calls for it
_ANSWER_S = 2.5  # a rank that has given no answer for so long is silent

#: set when this rank takes the others along: it waits for none of them
others_are_ended = threading.Event()

_ASKS, _CALLS = "what do you do?", "a rank waits"


class Watch:
    """The thread of this rank.

    Parameters
    ----------
    calls : those of the communicator; `add` brings those of its duplicates, in the same order on
        all ranks
    elastic : whether the ranks that are left can go on when some are lost
    """

    def __init__(self, calls: Calls, elastic: bool):
        self._calls, self._elastic = [calls], elastic
        self._warning_s = seconds_of("DTRAIN_STALL_WARNING", 5)
        self._timeout_s = seconds_of("DTRAIN_STALL_TIMEOUT", 1800)
        self._program = threading.get_ident()
        self._has_ended = False
        self._stop = threading.Event()
        self._channel: _Channel | None = None
        self._thread = threading.Thread(target=self._run, name="dtrain-watch", daemon=True)

    def add(self, calls: Calls) -> None:
        """Watch the calls of one more communicator."""
        self._calls.append(calls)

    def join(self, comm: Any) -> None:
        """Watch over the ranks of an mpi4py communicator, which is for this alone."""
        hosts = comm.allgather(socket.gethostname())
        judge = Judge(hosts, self._warning_s, self._timeout_s, self._elastic)
        self._channel = _Channel(comm, judge)
        if self._thread.ident is None:  # not begun yet; at the end of the program it is over
            self._thread.start()
            atexit.register(self._end)

    def revoke(self) -> None:
        """Have no rank wait for this one at the end."""
        if self._channel is not None:
            self._channel.comm.Revoke()

    def _end(self) -> None:
        """Wait until all ranks have come to their end: until then this one answers.

        MPI's own end waits for them, too, but would answer nothing. Elastic ranks do not wait,
        for a lost one would keep them: they leave word.
        """
        from mpi4py import MPI

        if others_are_ended.is_set():
            return
        self._has_ended = True
        channel = self._channel
        if channel is not None and not MPI.Is_finalized():
            with contextlib.suppress(MPI.Exception):  # a rank was lost
                if self._elastic:
                    self._stop.set()
                    self._thread.join()
                    channel.leave_word(self._state())
                else:
                    everybody = channel.comm.Ibarrier()
                    _wait_asleep(everybody.Test)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        from mpi4py import MPI

        while not self._stop.wait(_TICK_S):
            channel = self._channel
            if channel is None or MPI.Is_finalized():
                continue
            try:
                _say(channel.tick(self._state, time.monotonic()))
            except DtrainError as verdict:
                kind = f"{type(verdict).__module__}.{type(verdict).__name__}"
                end_all(channel.comm, f"{kind}: {verdict}")
            except MPI.Exception:  # a rank was lost: `join` brings those that are left
                if self._channel is channel:
                    self._channel = None
        if self._channel is not None:  # all have come to the end
            _say(self._channel.judge.over({}, time.monotonic()))

    def _state(self) -> State:
        calls = tuple(calls.last() for calls in self._calls)
        return State(calls, call_site(self._program), self._has_ended)


class _Channel:
    """What passes between the threads of some ranks."""

    def __init__(self, comm: Any, judge: Judge):
        self.comm, self.judge = comm, judge
        self._others = [rank for rank in range(comm.size) if rank != comm.rank]
        self._sent: list[Any] = []  # requests, which hold their messages until these are gone
        # as one that waits: whom it calls, since when, and when it called last
        self._called, self._called_since, self._called_at = 0, 0.0, 0.0
        # as the judge: until when it is one, when it asked first and last, what it was told
        self._judges_until = 0.0
        self._asked_since, self._asked_at = 0.0, 0.0
        self._told: dict[int, tuple[float, State]] = {}
        self._ended: dict[int, State] = {}  # elastic ranks that have left word

    def tick(self, state_of: Any, now: float) -> Iterator[str]:
        """Answer, and ask as long as there is a reason to; gives lines for the user."""
        self._sent = [request for request in self._sent if not request.Test()]
        state = None
        while (message := self.comm.improbe()) is not None:
            from_rank, what = message.recv()
            if what == _ASKS:
                state = state or state_of()
                self._send(from_rank, state)
                self._asked_by(from_rank, now)
            elif what == _CALLS:
                self._judges_until = now + 3 * _EVERY_S
            elif what.has_ended and self.judge.elastic:
                self._ended[from_rank] = what
            else:
                self._told[from_rank] = now, what
        state = state or state_of()
        if any(call.name and call.seconds > _PATIENCE_S for call in state.calls):
            self._call(now)
        else:
            self._called, self._called_since = 0, 0.0
        if now < self._judges_until or self.judge.open:
            yield from self._ask_and_judge(state, now)
        else:
            self._asked_since = 0.0

    def leave_word(self, state: State) -> None:
        """Tell all others what they cannot ask any more."""
        for rank in self._others:
            if rank not in self._ended:
                self._send(rank, state)
        _wait_asleep(lambda: all(request.Test() for request in self._sent), limit_s=0.5)

    def _send(self, to: int, what: Any) -> None:
        self._sent.append(self.comm.isend((self.comm.rank, what), to))

    def _asked_by(self, judge: int, now: float) -> None:
        if judge == self._called:
            self._called_since = now
        if judge < self.comm.rank:  # of two judges the lower one goes on
            self._judges_until = 0.0
            self.judge.open.clear()

    def _call(self, now: float) -> None:
        """Call the judge: the lowest rank that answers."""
        self._called_since = self._called_since or now
        while self._called in self._ended:
            self._called, self._called_since = self._called + 1, now
        if now - self._called_since > _ANSWER_S and self._called < self.comm.rank:
            self._called, self._called_since, self._called_at = self._called + 1, now, 0.0
        if self._called == self.comm.rank:
            self._judges_until = now + 3 * _EVERY_S
        elif now - self._called_at >= _EVERY_S:
            self._called_at = now
            self._send(self._called, _CALLS)

    def _ask_and_judge(self, state: State, now: float) -> Iterator[str]:
        if not self._asked_since:
            self._asked_since = now
        if now - self._asked_at >= _EVERY_S:
            self._asked_at = now
            for rank in self._others:
                if rank not in self._ended:
                    self._send(rank, _ASKS)
        states = {r: told for r, (at, told) in self._told.items() if now - at < _ANSWER_S}
        states |= {**self._ended, self.comm.rank: state}
        asked_long_ago = now - self._asked_since > _ANSWER_S
        silent = [r for r in self._others if r not in states] if asked_long_ago else []
        yield from self.judge.consider(states, silent, now)


def _wait_asleep(is_over: Callable[[], bool], limit_s: float = math.inf) -> None:
    deadline, pause_s = time.monotonic() + limit_s, 0.0001
    while not is_over() and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"dtrain: {line}", file=sys.stderr, flush=True)


def seconds_of(variable: str, default: float) -> float:
    """Seconds from the environment."""
    text = os.environ.get(variable, str(default))
    try:
        seconds = float(text)
        if seconds >= 0:
            return seconds
    except ValueError:
        pass
    raise ValueError(f"{variable}: expected seconds, 0 for never, got {text!r}")


def end_all(comm: Any, text: str, status: int = 1) -> None:
    """Say why, and end all ranks of an mpi4py communicator's job."""
    print(f"dtrain: {text}", file=sys.stderr, flush=True)
    timeline.write_own()
    time.sleep(0.1)  # MPICH's launcher, told to abort, leaves unread what it has not read yet
    comm.Abort(status)
