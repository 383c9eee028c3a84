"""The start monitor: a process beside each rank, which reports that it ends before it has joined.

MPI_Init waits for every rank, for ever under ``--elastic``: MPI notices the failure of a rank only
once it has joined. A rank that was killed cannot report it itself.

This file is what Python runs as a rank, and imports the standard library alone: a rank may end
while it imports dtrain, too. `rank.py` is the rest.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

#: what a notice begins and ends with. Terminals take it for an unknown command and do not show it.
#: It ends with a newline because Open MPI's launcher holds an incomplete line back
NOTICE_BEGIN, NOTICE_END = b"\x1b]dtrain;", b"\x07\n"
#: where launchers tell a rank its number
RANK_VARIABLES = (
    "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMI_RANK", "JSM_NAMESPACE_RANK", "SLURM_PROCID",
)  # fmt: skip

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

    def watch() -> None:
        os.close(writer)
        _watch(rank, own_pid, own, reader, terminal)

    run_beside(watch)
    os.close(reader)
    os.close(own)

    def end() -> None:
        os.write(writer, b"x")
        os.close(writer)

    return end


def run_beside(function: Callable[[], None]) -> None:
    """Call a function in another process, which does not outlive it and is no child of this one."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()  # signals to the rank's group are not for it
            if os.fork() == 0:  # a program that waits for its children does not find it
                function()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _watch(rank: int, pid: int, process: int, reader: int, terminal: int) -> None:
    """Wait until the rank has joined or has ended; one that stays stopped is killed."""
    stopped_since: float | None = None
    while True:
        ready, _, _ = select.select([reader, process], [], [], _TICK_S)
        if reader in ready and os.read(reader, 1):
            return
        if process in ready:
            os.write(terminal, NOTICE_BEGIN + f"lost={rank}".encode() + NOTICE_END)
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


def main() -> None:
    """Run the program in `sys.argv` as a rank, watched until it has joined the others."""
    if not getattr(sys.flags, "safe_path", False):  # of Python 3.11
        sys.path[0] = os.getcwd()  # as under `python -m`
    terminal = os.dup(2)  # the program may point its stderr elsewhere
    number = next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "")
    end = start_monitor(int(number), terminal) if number.isdecimal() else lambda: None
    from dtrain.distributed.launch import rank

    rank.main(terminal, end)


if __name__ == "__main__":
    main()
