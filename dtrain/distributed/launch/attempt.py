"""One start of the launcher: its signals, its stderr, and how it ended."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtrain.distributed.launch.exit_notice import RAISED, Marks
from dtrain.distributed.launch.parent import die_with_parent

_ASKS_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_END_LIMIT_S = 10  # for the launcher to end its ranks on all hosts
_FAIL_LIMIT_S = 5  # for it to end after a rank raised: Open MPI's sometimes locks itself up there
_DRAIN_LIMIT_S = 1  # for what it has started and left to close its stderr


class Signals:
    """While it is entered, signals are bytes in a socket, so that one can wait for them.

    Attributes
    ----------
    asked : the first signal that asked to stop, None before
    """

    def __enter__(self) -> Signals:
        self.asked: signal.Signals | None = None
        self._inbox, self._outbox = socket.socketpair()
        self._inbox.setblocking(False)
        self._outbox.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._outbox.fileno(), warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, lambda *_: None)
            for number in (*_ASKS_TO_STOP, signal.SIGCHLD)
            if signal.getsignal(number) != signal.SIG_IGN  # nohup
        }
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._inbox.close()
        self._outbox.close()

    def fileno(self) -> int:
        return self._inbox.fileno()

    def read(self) -> list[signal.Signals]:
        """What asked to stop since the last call."""
        try:
            numbers = self._inbox.recv(1024)
        except BlockingIOError:
            return []
        asking = [signal.Signals(number) for number in numbers if number in _ASKS_TO_STOP]
        self.asked = self.asked or next(iter(asking), None)
        return asking


@dataclass(frozen=True)
class Ending:
    """How it ended: the launcher's status, as a shell has it, and what ranks said at their end."""

    status: int
    said: frozenset[int]


def attempt(
    argv: Sequence[str],
    environ: Mapping[str, str],
    signals: Signals,
    grace_s: float,
    linger_s: float | None = None,
) -> Ending:
    """Run the launcher until it ends, as asked or by itself.

    If given, `linger_s` is how long it may stay when a rank has come to the end of the program:
    one that was lost at the last moment, but is frozen and not dead, would keep it for ever.

    Open MPI's mpirun gives ranks a quarter of a second after SIGTERM, which is too short for a
    checkpoint. It hands on SIGUSR1 and ends nothing. So that is what it gets at first, whatever
    signal came; SIGTERM after another signal, or after `grace_s`; and SIGKILL at last.
    """
    supervisor = os.getpid()
    process = subprocess.Popen(
        argv,
        env=dict(environ),
        # Outside of the terminal's session mpirun does not read from the terminal.
        stdin=subprocess.PIPE if _terminal_is_ours() else None,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is for us alone
        preexec_fn=lambda: die_with_parent(signal.SIGTERM, supervisor),
    )
    try:
        return _Watch(process, signals, grace_s, linger_s).until_it_ends()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in filter(None, (process.stdin, process.stderr)):
            pipe.close()


class _Watch:
    def __init__(
        self,
        process: subprocess.Popen[bytes],
        signals: Signals,
        grace_s: float,
        linger_s: float | None,
    ):
        assert process.stderr is not None
        self._process, self._signals = process, signals
        self._stderr = process.stderr.fileno()
        self._marks = Marks()
        self._measures = [
            (signal.SIGUSR1, grace_s),
            (signal.SIGTERM, _END_LIMIT_S),
            (signal.SIGKILL, _END_LIMIT_S),
        ]
        self._deadline: float | None = None
        self._linger_s = linger_s
        self._status: int | None = None  # instead of the launcher's, when it did not end by itself

    def until_it_ends(self) -> Ending:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stderr, selectors.EVENT_READ)
            selector.register(self._signals, selectors.EVENT_READ)
            if self._process.stdin:
                selector.register(0, selectors.EVENT_READ)
            while self._process.poll() is None:
                ready = [key.fileobj for key, _ in selector.select(self._time_left())]
                if self._stderr in ready and not self._copy():
                    selector.unregister(self._stderr)
                if 0 in ready and not self._type():
                    selector.unregister(0)
                for number in self._signals.read() if self._signals in ready else []:
                    self._take_measure(number)
                if self._time_left() == 0:
                    self._take_measure(None)
            self._drain(selector)
        status = self._process.returncode if self._status is None else self._status
        return Ending(128 - status if status < 0 else status, frozenset(self._marks.statuses))

    def _time_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _take_measure(self, asked: signal.Signals | None) -> None:
        if not self._measures:
            return
        number, patience_s = self._measures.pop(0)
        if number == signal.SIGUSR1:
            say(
                f"{asked.name if asked else ''}: the ranks have {patience_s:g} s to write a "
                "checkpoint and leave; another signal ends them at once"
            )
        elif number == signal.SIGTERM and asked is None and RAISED in self._marks.statuses:
            self._status = 1
            say("a rank raised, and the launcher did not end: it is ended")
        elif number == signal.SIGTERM and asked is None and self._is_over():
            self._status = 0
            say("a rank that was lost did not end: it is ended")
        elif number == signal.SIGTERM and asked is None:
            say("the ranks have not left in time: they are ended")
        self._process.send_signal(number)
        self._deadline = time.monotonic() + patience_s

    def _copy(self) -> bool:
        """Pass on a piece of stderr; False at its end."""
        data = os.read(self._stderr, 1 << 16)
        _write(self._marks.strip(data) if data else self._marks.rest())
        if self._deadline is None and (limit_s := self._limit_s()) is not None:
            del self._measures[0]
            self._deadline = time.monotonic() + limit_s
        return bool(data)

    def _limit_s(self) -> float | None:
        """How long the launcher may stay, after what the ranks have said."""
        if RAISED in self._marks.statuses:
            return _FAIL_LIMIT_S
        return self._linger_s if self._is_over() else None

    def _is_over(self) -> bool:
        """Whether a rank has come to the end of the program."""
        return bool(self._marks.statuses - {RAISED})

    def _type(self) -> bool:
        """Pass on what was typed; False at its end."""
        assert self._process.stdin is not None
        data = os.read(0, 1 << 12)
        try:
            os.write(self._process.stdin.fileno(), data)
        except BrokenPipeError:
            data = b""
        if not data:
            self._process.stdin.close()
        return bool(data)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """Copy what is left; ssh, for one, may hold the pipe open longer than its mpirun lives."""
        if self._stderr not in selector.get_map():
            return
        for other in [key.fileobj for key in selector.get_map().values()]:
            if other != self._stderr:
                selector.unregister(other)
        end = time.monotonic() + _DRAIN_LIMIT_S
        while selector.select(max(0.0, end - time.monotonic())) and self._copy():
            pass


def _terminal_is_ours() -> bool:
    return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()


def _write(data: bytes) -> None:
    sys.stderr.flush()
    while data:
        data = data[os.write(2, data) :]


def say(text: str) -> None:
    """Write a line of `dtrain run` itself."""
    print(f"dtrain run: {text}", file=sys.stderr, flush=True)
