"""Descriptors of a process: writes all bytes to one, and opens those of its streams if closed."""

from __future__ import annotations

import os
import sys


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; one `os.write` may write fewer."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def open_closed_streams() -> None:
    """Open /dev/null for each of stdin, stdout and stderr that is closed.

    A file opened later would otherwise get the descriptor, and other processes would write to it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # Python has None for a stream that was closed when it started.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
