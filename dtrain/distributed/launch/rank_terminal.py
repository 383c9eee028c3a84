"""The terminal of `dtrain run`: rank 0 writes to it itself, so that moving bars move; where there
is none, the terminal that Open MPI gives a rank is hidden.

Launchers hold an incomplete line back, and a bar is one until its end.
"""

from __future__ import annotations

import io
import os
import socket
import sys
from typing import Any

from dtrain import env


def find_terminal() -> str | None:
    """HOST:PATH of the terminal that both stdout and stderr of this process are; else None."""
    try:
        out, err = (os.ttyname(stream.fileno()) for stream in (sys.stdout, sys.stderr))
    except (OSError, AttributeError):  # no terminal, or no such stream
        return None
    return f"{socket.gethostname()}:{out}" if out == err else None


def open_terminal() -> None:
    """Have this process, rank 0, write to the terminal, if that is on this host."""
    host, _, path = (env.TERMINAL.read() or "").partition(":")
    if host != socket.gethostname() or sys.stdout is None or sys.stderr is None:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return
    if os.isatty(descriptor):
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = (_reopen(s, _Terminal) for s in (sys.stdout, sys.stderr))
    os.close(descriptor)


def hide_terminal() -> None:
    """Have stdout be no terminal to this process, if it is one."""
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = _reopen(sys.stdout, _NoTerminal)


class _Terminal(io.FileIO):
    """A terminal whose end is no error: a rank goes on, or saves, after it was closed."""

    def write(self, data: Any, /) -> int:
        """Write to the terminal, if it is still there."""
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


class _NoTerminal(io.FileIO):
    """Output that ends in a file, which should have no colours and no bars."""

    def isatty(self) -> bool:
        """False, whatever the descriptor is."""
        return False


def _reopen(stream: Any, kind: type[io.FileIO]) -> io.TextIOWrapper:
    binary = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(binary, stream.encoding, stream.errors)
