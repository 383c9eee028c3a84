"""`python -m dtrain.distributed.launch.rank script.py`: a rank of `dtrain run`, from start to end.

Through mpi4py's runner, an exception on one rank ends all ranks. Added here: the rank dies with
its launcher, and says when its program came to its end.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import signal
import sys
from typing import cast

from mpi4py import run

from dtrain import env
from dtrain.distributed import lifecycle, world
from dtrain.distributed.context import process
from dtrain.distributed.elastic.transaction import recoverable
from dtrain.distributed.launch.exit_notice import RAISED, mark
from dtrain.distributed.launch.parent import die_with_parent
from dtrain.errors import RankFailedError


def main() -> None:
    """Run the program in `sys.argv`."""
    die_with_parent(signal.SIGKILL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Line by line: at once, in a file too, and no other rank's words in the middle.
            stream.reconfigure(line_buffering=True, write_through=False)
    screen = os.dup(2)  # the program may point its stderr elsewhere
    status: list[int] = []
    atexit.register(_say_end, screen, status)  # the first to be registered is the last to run
    try:
        run.run_command_line(sys.argv[1:])
    except SystemExit as leaving:
        if lifecycle.is_collective_exit(leaving.code):
            # No reason to abort those that are still at their checkpoint.
            status.append(cast(int, leaving.code))
            return
        run.set_abort_status(leaving)
        if leaving.code:
            mark(screen, RAISED)
            process.job_is_aborting.set()
            raise
    except BaseException as failure:
        if env.ELASTIC.read() == "leave":
            _leave(failure)
        mark(screen, RAISED)
        run.set_abort_status(failure)
        raise
    status.append(0)


def _leave(failure: BaseException) -> None:
    """Let the other ranks go on without this one: only a death by a signal is noticed."""
    print(f"dtrain: {world.format_rank_exception(failure)}", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _say_end(screen: int, status: list[int]) -> None:
    """Say that the program ended, after all ranks have come to the end of theirs."""
    if status:
        mpi = sys.modules.get("mpi4py.MPI")
        if env.ELASTIC.read():  # where Finalize may wait for ever, ranks lost or not
            if world.current_rank() is not None:
                recoverable(world.barrier)()
                # One that left at once could take its last message along, and be called lost.
                with contextlib.suppress(RankFailedError):
                    world.barrier()
            mark(screen, status[0])
            sys.stdout.flush()
            os._exit(0)  # at another status mpirun ends those that are not here yet
        if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
            mpi.Finalize()
        mark(screen, status[0])


if __name__ == "__main__":
    main()
