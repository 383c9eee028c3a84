"""What a rank knows of its job: the name, how often it was started again, whether it is to stop.

`dtrain run` tells the ranks by variables and signals; `python script.py` and `dtrain debug` have
the signals alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtrain.distributed import world
from dtrain.distributed.elastic.transaction import in_transaction, recoverable

#: The exit status of a script that stopped as it was asked to, with a checkpoint to go on from:
#: EX_TEMPFAIL of sysexits.h, "try again". Not 143, which is also that of one which was killed.
STOPPED = 75
#: That of one which leaves so that `dtrain run` starts it again with the ranks that were lost.
SHORT = 76

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class _Stop:
    watched = False  # whether the script asks; one that never does is ended at once
    requested = False  # on this rank, which others may not know yet
    agreed = False
    short = False  # whether all leave for the lack of lost ranks


_stop = _Stop()
_before: dict[int, Any] = {}


@dataclass
class Replay:
    """The checkpoint that `dtrain debug --replay` gives a script, whatever it asks for."""

    checkpoint: Path
    loaded_by: set[int] = field(default_factory=set)  #: ranks that have loaded it


#: of this process, if it is one
replay: Replay | None = None


def job_name() -> str | None:
    """The name of the job, the same each time that it is started again; None without a launcher.

    ``DTRAIN_JOB`` if that is set, as in a batch script that may be queued again; otherwise of
    this `dtrain run`.
    """
    return os.environ.get("DTRAIN_JOB")


def restart_count() -> int:
    """How often `dtrain run` has started this job again (torchrun's TORCHELASTIC_RESTART_COUNT).

    >>> restart_count()
    0
    """
    return int(os.environ.get("DTRAIN_RESTART_COUNT", "0"))


def stop_requested() -> bool:
    """Whether a rank has been asked to stop, by SIGTERM, SIGINT or SIGUSR1; the same on all ranks.

    To be called by every rank, once a step: it gathers a flag from all ranks. A script then
    writes a checkpoint and leaves by ``sys.exit(distributed.STOPPED)``. From the first call on
    these signals do not end the program at once; a second one does.
    """
    if not _stop.watched:
        _stop.watched = True
        if threading.current_thread() is threading.main_thread():
            install_signal_handlers()
    _stop.agreed = _stop.agreed or _any_rank(_stop.requested, "a signal to stop")
    return _stop.agreed


@recoverable
def _any_rank(value: bool, what: str) -> bool:
    return any(world.communicator().allgather(value, what))


def exit_for_respawn(has_written: bool) -> None:
    """End the script where ranks were lost and are to be replaced, and a rank wrote a checkpoint.

    For ``dtrain run --elastic --respawn``. Between stages all ranks know of the same losses.
    """
    launched = world.launched_world_size() or 1
    if "DTRAIN_RESPAWN" not in os.environ or _stop.agreed or in_transaction():
        return
    if world.world_size() < launched and _any_rank(has_written, "a written checkpoint"):
        _stop.short = True
        sys.exit(SHORT)


def is_collective_exit(status: Any) -> bool:
    """Whether all ranks leave by this exit status."""
    return (status == STOPPED and _stop.agreed) or (status == SHORT and _stop.short)


def install_signal_handlers() -> None:
    """Have signals noted where they would end the program; the script may have its own handlers."""
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            _before[number] = handler
            signal.signal(number, _note)


def restore_signal_handlers() -> None:
    """Give the signals back the effect that they had before `install_signal_handlers`."""
    while _before:
        signal.signal(*_before.popitem())


def _note(number: int, frame: Any) -> None:
    restore_signal_handlers()
    if not _stop.watched:
        os.kill(os.getpid(), number)
        return
    _stop.requested = True
    if world.launched_world_size() is None:  # `dtrain run` says it for all ranks
        name = signal.Signals(number).name
        print(f"dtrain: {name}: stops after this step; again: at once", file=sys.stderr)
