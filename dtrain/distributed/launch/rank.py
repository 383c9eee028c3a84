"""The process of one rank of `dtrain run`, from the import of dtrain on.

The rank dies with its launcher, reports to it how its start and its program end, and aborts all
ranks when it raises an exception.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, NoReturn, cast

from mpi4py import run

from dtrain import env
from dtrain.distributed import lifecycle, world
from dtrain.distributed.context import process
from dtrain.distributed.elastic.transaction import recoverable
from dtrain.distributed.exchange import barrier
from dtrain.distributed.launch.notices import (
    RAISED,
    RankError,
    StartEvent,
    write_error_notice,
    write_exit_notice,
    write_start_notice,
)
from dtrain.distributed.launch.output import open_output
from dtrain.distributed.launch.parent import die_with_parent
from dtrain.distributed.launch.standard_input import end_input_at_mark
from dtrain.distributed.launcher_variables import (
    launched_rank,
    note_rank_process,
    parent_rank_process,
)
from dtrain.distributed.watchdog.call_site import find_call_site
from dtrain.distributed.watchdog.monitor import abort_job
from dtrain.errors import LaunchError, RankFailedError

_SAME_ERROR_S = 0.5  # in which other ranks raise the same error, before this one aborts them


def main(terminal: int, end_monitor: Callable[[], None]) -> None:
    """Run the program in `sys.argv`.

    Parameters
    ----------
    terminal : the descriptor to which notices are written
    end_monitor : ends the start monitor; called when this rank has joined the others
    """
    die_with_parent(signal.SIGKILL)
    note_rank_process()
    log = open_output(launched_rank() or 0)
    _report_start(terminal, end_monitor)
    end_input_at_mark()
    if "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _refuse_breakpoint
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # By lines: they appear at once, in a file too, and ranks' texts do not mix.
            stream.reconfigure(line_buffering=True, write_through=False)
    status: list[int] = []
    atexit.register(_finish, terminal, status)  # the first to be registered is the last to run
    try:
        _run_program(sys.argv[1:])
    except SystemExit as leaving:
        if lifecycle.is_collective_exit(leaving.code):
            # Ranks that still write their checkpoint must not be aborted.
            status.append(cast(int, leaving.code))
            return
        run.set_abort_status(leaving)
        if leaving.code:
            write_exit_notice(terminal, RAISED)
            process.job_is_aborting.set()
            raise
    except BaseException as failure:
        if env.ELASTIC.read() == "leave":
            _die_alone(failure)
        _end_job(terminal, failure, log)
    status.append(0)


def _report_start(terminal: int, end_monitor: Callable[[], None]) -> None:
    """Report how far this rank's start is, from now on."""
    rank = launched_rank()
    if rank is None:
        return

    def report(event: StartEvent) -> None:
        write_start_notice(terminal, event, rank)
        if event == "joined":
            end_monitor()

    process.report_start = report


def _refuse_breakpoint(*args: object, **options: object) -> NoReturn:
    raise LaunchError(
        f"breakpoint() at {find_call_site(sys._getframe(1))}: a rank of `dtrain run` has no "
        "terminal to debug in. `dtrain debug -n N SCRIPT` runs the ranks as threads, to the same "
        "bits, and opens pdb there; PYTHONBREAKPOINT=0 has breakpoints ignored"
    )


def _run_program(words: list[str]) -> None:
    """Run `script.py args...` or `-m module args...` as Python itself would."""
    sys.argv[:] = words
    if words[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.realpath(words[0]))  # of a link: its target's folder
        runpy.run_path(words[0], run_name="__main__")


def _die_alone(failure: BaseException) -> None:
    """Let the survivors go on without this rank: ULFM detects only a death by a signal."""
    print(f"dtrain: {world.format_rank_exception(failure)}", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _end_job(terminal: int, failure: BaseException, log: IO[str] | None) -> NoReturn:
    """Report the exception to `dtrain run`, which shows it, and end all ranks."""
    number = world.current_rank()
    rank = launched_rank() if number is None else number
    message = "".join(traceback.format_exception_only(failure))
    text = world.format_user_traceback(failure)
    if log is not None:
        print(text, file=log, flush=True)
    write_error_notice(terminal, RankError(rank or 0, socket.gethostname(), message, text))
    write_exit_notice(terminal, RAISED)
    process.job_is_aborting.set()
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
        if mpi.COMM_WORLD.size > 1:
            time.sleep(_SAME_ERROR_S)
        abort_job(mpi.COMM_WORLD)
    raise SystemExit(1) from failure


def _finish(terminal: int, status: list[int]) -> None:
    """Write the exit notice, once all ranks have come to the end of the program."""
    if status and parent_rank_process() is None:
        mpi = sys.modules.get("mpi4py.MPI")
        if env.ELASTIC.read():  # MPI_Finalize may wait for ever, with or without failures
            if world.current_rank() is not None:
                recoverable(barrier)()
                # A rank that exited at once could take its last message along, and count as failed.
                with contextlib.suppress(RankFailedError):
                    barrier()
            write_exit_notice(terminal, status[0])
            sys.stdout.flush()
            os._exit(0)  # at another status mpirun ends the ranks that are not here yet
        if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
            mpi.Finalize()
        write_exit_notice(terminal, status[0])
