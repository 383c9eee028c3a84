"""One run of the MPI launcher: forwards its streams and signals, and ends it when it hangs.

`supervise.py` decides whether the job is started again.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

from dtrain.distributed.launch.descriptors import write_all
from dtrain.distributed.launch.host_source import HostWatcher
from dtrain.distributed.launch.notices import (
    RAISED,
    NoticeFilter,
    RankError,
    format_rank_ranges,
)
from dtrain.distributed.launch.parent import die_with_parent
from dtrain.distributed.launch.standard_input import InputForwarder

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_END_LIMIT_S = 10  # in which the launcher ends its ranks on all hosts
_START_LIMIT_S = 1  # in which it ends after a rank ended before it had joined: under ULFM it stays
_FAIL_LIMIT_S = 5  # in which it ends after a rank raised: Open MPI's sometimes deadlocks there
_DRAIN_LIMIT_S = 1  # in which processes that it left behind close its stderr


class SignalReceiver:
    """Context manager: signals arrive as bytes in a socket, on which a selector can wait.

    Attributes
    ----------
    first_received : the first signal that asked the job to stop, None before
    """

    def __enter__(self) -> SignalReceiver:
        self.first_received: signal.Signals | None = None
        self._inbox, self._outbox = socket.socketpair()
        self._inbox.setblocking(False)
        self._outbox.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._outbox.fileno(), warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, lambda *_: None)
            for number in (*_STOP_SIGNALS, signal.SIGCHLD)
            if signal.getsignal(number) != signal.SIG_IGN  # nohup
        }
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._inbox.close()
        self._outbox.close()

    def fileno(self) -> int:
        return self._inbox.fileno()

    def read(self) -> list[signal.Signals]:
        """The stop signals that have arrived since the last call."""
        try:
            numbers = self._inbox.recv(1024)
        except BlockingIOError:
            return []
        received = [signal.Signals(number) for number in numbers if number in _STOP_SIGNALS]
        self.first_received = self.first_received or next(iter(received), None)
        return received

    def wait(self, limit_s: float) -> bool:
        """Wait for a stop signal; False if none comes in `limit_s` seconds."""
        end = time.monotonic() + limit_s
        while not self.read() and (left := end - time.monotonic()) > 0:
            select.select([self], [], [], left)
        return self.first_received is not None


@dataclass(frozen=True)
class AttemptResult:
    """The launcher's exit status, as a shell shows it, and what the ranks' notices tell."""

    status: int
    notices: frozenset[int]
    errors: tuple[RankError, ...] = ()


def run_attempt(
    argv: Sequence[str],
    environ: Mapping[str, str],
    signals: SignalReceiver,
    grace_s: float,
    linger_s: float | None = None,
    end_of_input: bytes = b"",
    watcher: HostWatcher | None = None,
) -> AttemptResult:
    """Run the launcher until it ends by itself, on a signal, or after a time limit.

    Open MPI's mpirun ends ranks a quarter of a second after SIGTERM, which is too short for a
    checkpoint; SIGUSR1 it passes on to the ranks. The launcher therefore gets SIGUSR1 at the first
    signal, whichever that is; SIGTERM at a second signal or after `grace_s`; and at last SIGKILL.

    Parameters
    ----------
    argv, environ : the launcher's command line and environment
    grace_s : how long the ranks may take to write a checkpoint and exit
    linger_s : how long the launcher may stay once a rank has come to the program's end: a rank
        that froze at the last moment would keep it for ever. None is for ever
    end_of_input : what the launcher's stdin gets after the end of this process's
    watcher : stops the ranks, as a signal does, when there are other hosts
    """
    supervisor = os.getpid()
    process = subprocess.Popen(
        argv,
        env=dict(environ),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C reaches this process alone
        preexec_fn=lambda: die_with_parent(signal.SIGTERM, supervisor),
    )
    assert process.stdin is not None
    assert process.stderr is not None
    with InputForwarder(cast(BinaryIO, process.stdin), end_of_input):
        try:
            return _Attempt(process, signals, grace_s, linger_s, watcher).run()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stderr.close()


class _Attempt:
    """The running launcher, and the signals that are still to be sent to it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        signals: SignalReceiver,
        grace_s: float,
        linger_s: float | None,
        watcher: HostWatcher | None,
    ):
        assert process.stderr is not None
        self._process, self._signals, self._watcher = process, signals, watcher
        self._stderr = process.stderr.fileno()
        self._notices = NoticeFilter()
        self._escalation = [
            (signal.SIGUSR1, grace_s),
            (signal.SIGTERM, _END_LIMIT_S),
            (signal.SIGKILL, _END_LIMIT_S),
        ]
        self._deadline: float | None = None
        self._linger_s = linger_s
        self._status: int | None = None  # replaces the launcher's, if it did not end by itself

    def run(self) -> AttemptResult:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stderr, selectors.EVENT_READ)
            selector.register(self._signals, selectors.EVENT_READ)
            if self._watcher is not None:
                selector.register(self._watcher, selectors.EVENT_READ)
            while self._process.poll() is None:
                ready = [key.fileobj for key, _ in selector.select(self._time_left())]
                if self._stderr in ready and not self._forward_stderr():
                    selector.unregister(self._stderr)
                for number in self._signals.read() if self._signals in ready else []:
                    self._escalate(number.name)
                if self._watcher is not None and self._watcher in ready:
                    selector.unregister(self._watcher)
                    if self._deadline is None:
                        self._escalate("other hosts")
                if self._time_left() == 0:
                    self._escalate(None)
            self._drain(selector)
        status = self._process.returncode if self._status is None else self._status
        if self._has_failed_start():
            ranks = format_rank_ranges(self._notices.failed_starts)
            print_message(f"{ranks} ended before joining the other ranks, which waited in MPI_Init")
            status = status or 1
        return AttemptResult(
            128 - status if status < 0 else status,
            frozenset(self._notices.statuses),
            tuple(self._notices.errors),
        )

    def _time_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _escalate(self, reason: str | None) -> None:
        """Send the next signal; `reason` is why the job has to stop, None that its time is over."""
        if not self._escalation:
            return
        number, limit_s = self._escalation.pop(0)
        if number == signal.SIGUSR1:
            print_message(
                f"{reason or ''}: the ranks have {limit_s:g} s to write a "
                "checkpoint and exit; a second signal ends them at once"
            )
        elif number == signal.SIGTERM and reason is None and RAISED in self._notices.statuses:
            self._status = 1
            print_message("a rank raised an exception, and the launcher does not end: ending it")
        elif number == signal.SIGTERM and reason is None and self._has_failed_start():
            self._status = 1
        elif number == signal.SIGTERM and reason is None and self._has_finished_rank():
            self._status = 0
            print_message("a failed rank does not end: ending it")
        elif number == signal.SIGTERM and reason is None:
            print_message("the ranks have not exited in time: ending them")
        self._process.send_signal(number)
        self._deadline = time.monotonic() + limit_s

    def _forward_stderr(self) -> bool:
        """Forward a piece of stderr; False at its end."""
        data = os.read(self._stderr, 1 << 16)
        _write(self._notices.feed(data) if data else self._notices.flush())
        if self._deadline is None and (limit_s := self._end_limit_s()) is not None:
            del self._escalation[0]
            self._deadline = time.monotonic() + limit_s
        return bool(data)

    def _end_limit_s(self) -> float | None:
        """Seconds that the launcher may stay after the exit notices so far; None: for ever."""
        if RAISED in self._notices.statuses:
            return _FAIL_LIMIT_S
        if self._has_failed_start():
            return _START_LIMIT_S
        return self._linger_s if self._has_finished_rank() else None

    def _has_failed_start(self) -> bool:
        """Whether a rank ended, without an exception, while others waited for it in MPI_Init."""
        return bool(self._notices.failed_starts) and RAISED not in self._notices.statuses

    def _has_finished_rank(self) -> bool:
        """Whether a rank has come to the end of the program."""
        return bool(self._notices.statuses - {RAISED})

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """Forward the rest of stderr; ssh, for one, may hold the pipe open after mpirun's end."""
        if self._stderr not in selector.get_map():
            return
        for other in [key.fileobj for key in selector.get_map().values()]:
            if other != self._stderr:
                selector.unregister(other)
        end = time.monotonic() + _DRAIN_LIMIT_S
        while selector.select(max(0.0, end - time.monotonic())) and self._forward_stderr():
            pass


def _write(data: bytes) -> None:
    with suppress(OSError):  # nobody reads stderr any more: the job goes on
        sys.stderr.flush()
        write_all(2, data)


def print_message(text: str, by: str = "dtrain run") -> None:
    """Print a line of `dtrain run` itself, or of dtrain in its ranks, on stderr."""
    with suppress(OSError):
        print(f"{by}: {text}", file=sys.stderr, flush=True)
