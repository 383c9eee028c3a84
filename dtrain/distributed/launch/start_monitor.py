"""The start monitor: a process beside each rank, which reports that it ends before it has joined.

MPI_Init waits for every rank, for ever under ``--elastic``: MPI notices the failure of a rank only
once it has joined. A rank that was killed cannot report it itself.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dtrain.distributed.launch.notices import write_start_notice

_STOPPED_LIMIT_S = 10.0  # a rank that is stopped for so long, and has not joined, is killed
_TICK_S = 0.5


def start_monitor(rank: int, terminal: int) -> Callable[[], None]:
    """Have another process watch this one until it has joined the other ranks.

    Parameters
    ----------
    rank : this rank's number
    terminal : the descriptor to which notices are written

    Returns
    -------
    A function that ends the monitor: the rank has joined.
    """
    if not hasattr(os, "pidfd_open"):  # not Linux
        return lambda: None
    own_pid, own = os.getpid(), os.pidfd_open(os.getpid())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()  # signals to the rank's group are not for it
        if os.fork() == 0:  # a program that waits for its children does not find it
            try:
                os.close(writer)
                _watch(rank, own_pid, own, reader, terminal)
            finally:
                os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(reader)
    os.close(own)

    def end() -> None:
        os.write(writer, b"x")
        os.close(writer)

    return end


def _watch(rank: int, pid: int, process: int, reader: int, terminal: int) -> None:
    """Wait until the rank has joined or has ended; one that stays stopped is killed."""
    stopped_since: float | None = None
    while True:
        ready, _, _ = select.select([reader, process], [], [], _TICK_S)
        if reader in ready and os.read(reader, 1):
            return
        if process in ready:
            write_start_notice(terminal, "lost", rank)
            return
        now = time.monotonic()
        stopped_since = (stopped_since or now) if _is_stopped(pid) else None
        if stopped_since is not None and now - stopped_since > _STOPPED_LIMIT_S:
            print(
                f"dtrain: rank {rank} was stopped (SIGSTOP) for {_STOPPED_LIMIT_S:g} s before it "
                "had joined the other ranks: ending it",
                file=sys.stderr,
                flush=True,
            )
            os.kill(pid, signal.SIGKILL)
            stopped_since = None


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
