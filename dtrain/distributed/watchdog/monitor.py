"""The watchdog: a thread on each rank that reports stalls, so that no job hangs in silence.

The threads exchange messages on a communicator of their own, and only once a rank has waited for
more than a second. That rank notifies the coordinator, the lowest rank that answers. The
coordinator requests the state of every rank, and `diagnosis.py` finds which rank blocks the
others. If the ranks can never meet, the coordinator aborts the job. A rank that was held up and a
rank that stood in for it may both coordinate: they tell each other which stalls were reported.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dtrain import env
from dtrain.distributed.comm.objects import allgather_objects
from dtrain.distributed.context import process
from dtrain.distributed.launcher_variables import parent_rank_process
from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.activity import describe_activity
from dtrain.distributed.watchdog.call_site import thread_call_site
from dtrain.distributed.watchdog.collective_log import (
    CollectiveLog,
    DeviceCollectives,
    MessageLog,
)
from dtrain.distributed.watchdog.diagnosis import PendingCall, RankState, StallDiagnosis
from dtrain.errors import DtrainError, RankFailedError

_TICK_S = 0.25
_PATIENCE_S = 1.0  # a shorter wait causes no messages
_INTERVAL_S = 1.0  # between two state requests, and between two notifications of the coordinator
_ANSWER_LIMIT_S = 2.5  # a rank without an answer for so long is silent

_STATE_REQUEST, _STALL_NOTICE = "state request", "stall notice"


class Watchdog:
    """The watchdog of this rank.

    Parameters
    ----------
    log : the communicator's collective log; `add_log` adds those of its duplicates, in the same
        order on all ranks
    elastic : whether survivors can go on when ranks fail
    """

    def __init__(self, log: CollectiveLog, elastic: bool):
        self._logs, self._elastic = [log], elastic
        self.message_log: MessageLog = MessageLog()
        self._warning_s = env.STALL_WARNING.read()
        self._timeout_s = env.STALL_TIMEOUT.read()
        self._program_thread = threading.get_ident()
        self._has_exited = False
        self._stop = threading.Event()
        self._channel: _Channel | None = None
        # Held while the watchdog's thread is inside MPI. `revoke` takes it to pause the watchdog,
        # so that a recovery has MPI for itself: with two threads in Open MPI's handling of failed
        # ranks, one in Test and one in Shrink, a survivor ends by SIGSEGV (once in 44 kills).
        self._mpi_lock = threading.Lock()
        self._is_paused = True  # until `join`; after that from a failure to the next `join`
        self._thread = threading.Thread(target=self._run, name="dtrain-watchdog", daemon=True)

    def add_log(self, log: CollectiveLog) -> None:
        """Watch one more communicator."""
        self._logs.append(log)

    def join(self, comm: Any) -> None:
        """Watch the ranks of an mpi4py communicator, which nothing else may use."""
        hosts = allgather_objects(comm, socket.gethostname(), 0)
        diagnosis = StallDiagnosis(hosts, self._warning_s, self._timeout_s, self._elastic)
        with self._mpi_lock:
            self._channel, self._is_paused = _Channel(comm, diagnosis), False
        if self._thread.ident is None:  # first call; at the program's end the thread is over
            self._thread.start()
            atexit.register(self._end)

    def revoke(self) -> None:
        """Pause this thread until `join`, and revoke the watchdogs' communicator."""
        with self._mpi_lock:
            self._is_paused = True
        if self._channel is not None:
            self._channel.comm.Revoke()

    def _end(self) -> None:
        """Wait, and answer state requests, until all ranks have come to the program's end.

        MPI_Finalize waits for all ranks, too, but would answer nothing. Elastic ranks send an exit
        notice instead of waiting: a failed rank would block them.
        """
        from mpi4py import MPI

        if process.job_is_aborting.is_set() or parent_rank_process() is not None:
            return
        self._has_exited = True
        channel = self._channel
        if channel is not None and not self._is_paused and not MPI.Is_finalized():
            with contextlib.suppress(MPI.Exception):  # a rank failed
                if self._elastic:
                    self._stop.set()
                    self._thread.join()
                    channel.send_exit_notice(self._state())
                else:
                    everybody = channel.comm.Ibarrier()
                    _poll(everybody.Test)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        from mpi4py import MPI

        while not self._stop.wait(_TICK_S):
            lines: list[str] = []
            with self._mpi_lock:
                channel = self._channel
                if channel is None or self._is_paused or MPI.Is_finalized():
                    continue
                try:
                    self._refuse_device_errors(channel.comm.rank)
                    lines = list(channel.tick(self._state, time.monotonic()))
                except DtrainError as stall:
                    kind = f"{type(stall).__module__}.{type(stall).__name__}"
                    devices = [log.device for log in self._logs if log.device is not None]
                    abort_job(channel.comm, f"{kind}: {stall}", devices)
                except MPI.Exception:  # a rank failed: `join` will bring a channel of the survivors
                    self._is_paused = True
            _print_lines(lines)
        if self._channel is not None and not self._is_paused:  # all ranks have come to the end
            _print_lines(self._channel.diagnosis.report_resolved({}, time.monotonic()))

    def _refuse_device_errors(self, rank: int) -> None:
        """Raise for an error of NCCL's that no call returns: its calls end before their work.

        Elastic ranks wait for that in their calls.
        """
        if self._elastic:
            return
        for log in self._logs:
            call = log.last_call()
            if call.name and log.device is not None and (error := log.device.find_error()):
                site = thread_call_site(self._program_thread)
                raise RankFailedError(f"rank {rank} waits in {call.name} ({site}): {error}")

    def _state(self, with_call_site: bool = True) -> RankState:
        return RankState(
            tuple(log.last_call() for log in self._logs),
            thread_call_site(self._program_thread) if with_call_site else "",
            self._has_exited,
            activity=describe_activity(),
            message=self.message_log.pending(),
        )


class _Channel:
    """The messages between the watchdogs of one communicator's ranks."""

    def __init__(self, comm: Any, diagnosis: StallDiagnosis):
        self.comm, self.diagnosis = comm, diagnosis
        self._others = [rank for rank in range(comm.size) if rank != comm.rank]
        self._sent: list[Any] = []  # requests; they hold their messages until sent
        # As a rank that waits: its coordinator, since when, and when it was notified last.
        self._coordinator, self._coordinator_since, self._notified_at = 0, 0.0, 0.0
        # As the coordinator: until when, the first and last state request, and the answers.
        self._coordinates_until = 0.0
        self._requested_since, self._requested_at = 0.0, 0.0
        self._answers: dict[int, tuple[float, RankState]] = {}
        self._exited: dict[int, RankState] = {}  # elastic ranks that sent an exit notice

    def tick(self, read_state: Callable[[bool], RankState], now: float) -> Iterator[str]:
        """Answer messages and send the ones that are due; yields messages for the user.

        `read_state` is told whether the state is for others, who want to know the line of the
        program: it costs most of a tick.
        """
        self._sent = [request for request in self._sent if not request.Test()]
        state = None
        while (message := self.comm.improbe()) is not None:
            sender, content = message.recv()
            if isinstance(content, frozenset):
                self.diagnosis.announced |= content
            elif content == _STATE_REQUEST:
                state = state or read_state(True)
                announced = frozenset(self.diagnosis.announced)
                self._send(sender, state._replace(announced=announced))
                self._note_coordinator(sender, now)
            elif content == _STALL_NOTICE:
                self._coordinates_until = now + 3 * _INTERVAL_S
            elif content.has_exited and self.diagnosis.elastic:
                self._exited[sender] = content
            else:
                self._answers[sender] = now, content
        if (state or read_state(False)).longest_wait_s() > _PATIENCE_S:
            self._notify_coordinator(now)
        else:
            self._coordinator, self._coordinator_since = 0, 0.0
        if now < self._coordinates_until or self.diagnosis.reported:
            yield from self._diagnose(state or read_state(True), now)
        else:
            self._requested_since = 0.0

    def send_exit_notice(self, state: RankState) -> None:
        """Tell all other ranks that this one exits: it answers no state request any more."""
        for rank in self._others:
            if rank not in self._exited:
                self._send(rank, state)
        _poll(lambda: all(request.Test() for request in self._sent), limit_s=0.5)

    def _send(self, to: int, content: RankState | frozenset[PendingCall] | str) -> None:
        self._sent.append(self.comm.isend((self.comm.rank, content), to))

    def _note_coordinator(self, rank: int, now: float) -> None:
        if rank <= self._coordinator:  # a lower one that was held up answers again
            self._coordinator, self._coordinator_since = rank, now
        if rank < self.comm.rank:  # of two coordinators the lower rank goes on
            self._coordinates_until = 0.0

    def _notify_coordinator(self, now: float) -> None:
        """Send a stall notice to the lowest rank that answers."""
        self._coordinator_since = self._coordinator_since or now
        while self._coordinator in self._exited:
            self._coordinator, self._coordinator_since = self._coordinator + 1, now
        unanswered = now - self._coordinator_since > _ANSWER_LIMIT_S
        if unanswered and self._coordinator < self.comm.rank:
            self._coordinator += 1
            self._coordinator_since, self._notified_at = now, 0.0
        if self._coordinator == self.comm.rank:
            self._coordinates_until = now + 3 * _INTERVAL_S
        elif now - self._notified_at >= _INTERVAL_S:
            self._notified_at = now
            self._send(self._coordinator, _STALL_NOTICE)

    def _diagnose(self, state: RankState, now: float) -> Iterator[str]:
        """As the coordinator: request the ranks' states, and check those that have come."""
        if not self._requested_since:
            self._requested_since = now
        if now - self._requested_at >= _INTERVAL_S:
            self._requested_at = now
            for rank in self._others:
                if rank not in self._exited:
                    self._send(rank, _STATE_REQUEST)
        states = {r: told for r, (at, told) in self._answers.items() if now - at < _ANSWER_LIMIT_S}
        states |= {**self._exited, self.comm.rank: state}
        overdue = now - self._requested_since > _ANSWER_LIMIT_S
        silent = [rank for rank in self._others if rank not in states] if overdue else []
        known = len(self.diagnosis.announced)
        lines = list(self.diagnosis.check(states, silent, now))
        if len(self.diagnosis.announced) > known:
            # A coordinator that is held up may take its turn again before this one asks it.
            for rank in self._others:
                if rank not in self._exited:
                    self._send(rank, frozenset(self.diagnosis.announced))
        yield from lines


def _poll(is_complete: Callable[[], bool], limit_s: float = math.inf) -> None:
    """Wait for a condition with short sleeps, which leave the core to the other ranks."""
    deadline, pause_s = time.monotonic() + limit_s, 0.0001
    while not is_complete() and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"dtrain: {line}", file=sys.stderr, flush=True)


def abort_job(
    comm: Any, reason: str | None = None, devices: Sequence[DeviceCollectives] = ()
) -> None:
    """Print the reason, if any, and abort all ranks of an mpi4py communicator's job; `devices`:
    NCCL's communicators, for a GPU that waits in one may hold its process."""
    if reason is not None:
        print(f"dtrain: {reason}", file=sys.stderr, flush=True)
    timeline.write_local()
    time.sleep(0.1)  # MPICH's launcher, told to abort, leaves unread what it has not read yet
    for device in devices:
        device.abort()
    comm.Abort(1)
