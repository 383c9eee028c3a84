"""Recovery from failed ranks: who survives, and whether the survivors repeat the transaction.

The MPI side (revoke, shrink: ULFM, MPI 5.0 chapter "Process Fault Tolerance") is in
`MpiCommunicator.recover`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dtrain.distributed.comm.objects import allgather_objects


@dataclass(frozen=True)
class RankProcess:
    """The process of a rank; `rank` is the one that it was launched as."""

    rank: int
    host: str
    pid: int
    started: str  # tells it from a later process with the same pid

    @classmethod
    def current(cls, rank: int) -> RankProcess:
        """This process."""
        pid = os.getpid()
        return cls(rank, socket.gethostname(), pid, _read_start_time(pid))

    def terminate(self) -> None:
        """Kill the process, if it runs on this host."""
        if (self.host, self.started) == (socket.gethostname(), _read_start_time(self.pid)):
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)


class Position(NamedTuple):
    """How far a rank is: transactions that it has committed, and whether it commits the next."""

    committed: int = 0
    at_commit: bool = False


class Survivor(NamedTuple):
    """What each survivor tells the others after a failure."""

    position: Position
    process: RankProcess


class RecoveryState:
    """What a rank has to know to go on after a failure: all ranks' processes, its own position.

    Parameters
    ----------
    comm : mpi4py's communicator of all ranks; the call is collective
    """

    def __init__(self, comm: Any):
        # Its own process, not one looked up by rank: a failure amid a recovery finds new ranks.
        self._process = RankProcess.current(comm.Get_rank())
        self._processes: list[RankProcess] = allgather_objects(comm, self._process, 0)
        self._position = Position()

    def begin_commit(self) -> None:
        """Note that this rank has done the transaction, and waits for the others."""
        self._position = self._position._replace(at_commit=True)

    def end_commit(self) -> None:
        """Note that all ranks have done the transaction."""
        self._position = Position(self._position.committed + 1)

    def exchange(self, comm: Any) -> list[Survivor]:
        """Every survivor's position and process, in the order of the shrunk communicator."""
        return allgather_objects(comm, Survivor(self._position, self._process), 0)

    def continue_with(self, survivors: Sequence[Survivor]) -> bool:
        """Fence the failed ranks, and go on with the survivors.

        Returns whether the transaction is committed; otherwise all roll it back and repeat it.

        Raises
        ------
        RuntimeError
            If no rank failed.
        """
        processes = [survivor.process for survivor in survivors]
        failed = [process for process in self._processes if process not in processes]
        if not failed:
            raise RuntimeError(
                "an MPI call failed although no rank did: the MPI error above tells why"
            )
        self._processes = processes
        _fence(failed)
        if processes[0] == self._process:
            _report(failed, len(processes))
        if is_committed(self._position, [survivor.position for survivor in survivors]):
            self.end_commit()
            return True
        self._position = self._position._replace(at_commit=False)
        return False


def is_committed(own: Position, survivors: Sequence[Position]) -> bool:
    """Whether all ranks had done the transaction that a survivor at `own` commits.

    So it is if all survivors commit it, or if one has passed the commit: every rank, the failed
    ones too, had come to it then.

    >>> is_committed(Position(4, True), [Position(4, True), Position(4, False)])
    False
    >>> is_committed(Position(4, True), [Position(4, True), Position(5, False)])
    True
    """
    all_commit = all(position.at_commit for position in survivors)
    one_has_passed = max(survivors).committed > own.committed
    return own.at_commit and (all_commit or one_has_passed)


def _fence(failed: Sequence[RankProcess]) -> None:
    """Terminate the failed ranks of this host: one that is frozen could wake up and write."""
    for process in failed:
        process.terminate()


def _report(failed: Sequence[RankProcess], survivors: int) -> None:
    names = ", ".join(f"{process.rank} on {process.host}" for process in failed)
    print(
        f"dtrain: failed ranks: {names}; {survivors} survivors go on", file=sys.stderr, flush=True
    )


def _read_start_time(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "unknown"
