"""The world: which ranks there are, and the communicator that connects them."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from dtrain import env
from dtrain.distributed.blas_threads import limit_blas_threads
from dtrain.distributed.comm.communicator import Communicator, SoloCommunicator
from dtrain.distributed.context import process, run_context
from dtrain.distributed.launcher_variables import (
    WORLD_SIZE_VARIABLES,
    launched_local_rank,
    launched_world_size,
    note_rank_process,
    parent_rank_process,
    refuse_other_launchers,
)
from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.call_site import is_user_frame
from dtrain.distributed.watchdog.monitor import abort_job
from dtrain.errors import DesyncError, LaunchError, RankFailedError


def init() -> None:
    """Join the ranks that were launched together, and limit BLAS threads for equal bits.

    Without a launcher it makes a world of one. Calling it again does nothing. What needs the world
    joins it by itself; a script calls `init` first if its results depend on BLAS before it makes a
    `DataParallel`, which limits BLAS threads, too.

    Raises
    ------
    LaunchError
        If the MPI library is missing, or is not the launcher's.
    ValueError
        If a ``DTRAIN_*`` variable has a value that it cannot have.

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.init()
    >>> distributed.rank(), distributed.world_size()
    (0, 1)
    """
    limit_blas_threads(announce=communicator().rank == 0)


def communicator() -> Communicator:
    """The communicator of this rank's world, which the first call joins."""
    context = run_context()
    if context.communicator is None:
        env.check()
        context.communicator = _launched_communicator() or _solo_communicator()
        # A rank's child would write over the rank's file.
        if timeline.trace_path() and parent_rank_process() is None:
            timeline.start_recording(context.communicator)
            atexit.register(_write_timeline)
    return context.communicator


def _write_timeline() -> None:
    if process.job_is_aborting.is_set():
        timeline.write_local()
        return
    try:
        timeline.write_gathered(communicator())
    except RankFailedError:  # an elastic rank failed
        if rank() == 0:
            timeline.write_local()


def set_communicator(communicator: Communicator) -> None:
    """Make `communicator` this thread's world."""
    run_context().communicator = communicator


def current_rank() -> int | None:
    """The rank that this thread is; None if it has not joined a world."""
    communicator = run_context().communicator
    return communicator.rank if communicator else None


def rank() -> int:
    """This rank's number, from 0 to world_size() - 1 (torch.distributed.get_rank).

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.rank()
    0
    """
    return communicator().rank


def local_rank() -> int:
    """This rank's number among those of its machine, from 0 (torchrun's LOCAL_RANK).

    Modulo the number of GPUs it is also the number of the GPU that "cuda" is here. Ranks that are
    threads share the GPU of their process.

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.local_rank()
    0
    """
    launched = launched_local_rank()
    return rank() if launched is None else launched


def world_size() -> int:
    """The number of ranks (torch.distributed.get_world_size).

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.world_size()
    1
    """
    return communicator().size


def _launched_communicator() -> Communicator | None:
    expected = launched_world_size()
    if expected is None:
        return None
    process.report_start("joining")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as reason:
        raise LaunchError(
            f"a launcher started this process as one of {expected} ranks, but mpi4py cannot be "
            f"used: {reason}. Install an MPI library into this environment: "
            "pip install 'dtrain[mpi]'"
        ) from reason
    note_rank_process()
    _restore_python_handler(signal.SIGUSR1)
    comm = MPI.COMM_WORLD
    if comm.size != expected:
        raise LaunchError(
            f"the launcher started {expected} ranks, but {_library(MPI)} sees {comm.size}: the "
            "launcher belongs to another MPI than the library. Use the mpirun that came with "
            "the library (`dtrain run` looks beside Python first), or set MPI4PY_LIBMPI. If no "
            "launcher started this process, its variables are left over: unset "
            + " and ".join(name for name in WORLD_SIZE_VARIABLES if name in os.environ)
        )
    if comm.size > 1:
        sys.excepthook = _make_abort_hook(comm)
    from dtrain.distributed.comm.mpi import MpiCommunicator

    joined = MpiCommunicator(comm, elastic=env.ELASTIC.read() is not None)
    process.report_start("joined")
    return joined


def _restore_python_handler(number: signal.Signals) -> None:
    """Restore Python's handler of a signal; MPICH takes SIGUSR1 for itself."""
    handler = signal.getsignal(number)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


def _library(mpi: Any) -> str:
    name, version = mpi.get_vendor()
    return f"{name} {'.'.join(map(str, version))}"


def _make_abort_hook(comm: Any) -> Callable[..., None]:
    """A `sys.excepthook` that aborts the job: under plain `python` the other ranks would wait."""

    def hook(
        kind: type[BaseException], failure: BaseException, trace: TracebackType | None
    ) -> None:
        if parent_rank_process() is not None:  # forked
            sys.__excepthook__(kind, failure, trace)
            return
        if comm.rank and isinstance(failure, DesyncError):
            time.sleep(1)  # mostly all ranks raise it: rank 0 prints it
        abort_job(comm, format_rank_exception(failure))

    return hook


def format_rank_exception(failure: BaseException) -> str:
    """The rank that raised an exception, and its traceback from the first user frame on."""
    number = current_rank()
    name = "a rank" if number is None else f"rank {number}"
    return f"{name} on host {socket.gethostname()} raised:\n{format_user_traceback(failure)}"


def format_user_traceback(failure: BaseException) -> str:
    """An exception's traceback from the first user frame on; without frames if there is none."""
    trace = failure.__traceback__
    while trace is not None and not is_user_frame(trace.tb_frame):
        trace = trace.tb_next
    if trace is None and not isinstance(failure, SyntaxError):  # an error outside of the program
        trace = failure.__traceback__
    return "".join(traceback.format_exception(type(failure), failure, trace)).rstrip()


def _solo_communicator() -> Communicator:
    if (rank_process := parent_rank_process()) is not None:
        print(
            f"dtrain: process {os.getpid()} was started by a rank (process {rank_process}) and is "
            "no rank itself: a world of one",
            file=sys.stderr,
        )
        return SoloCommunicator()
    refuse_other_launchers()
    beside_python = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ.get("PATH", "")
    launchers = [shutil.which(name, path=beside_python) for name in ("mpirun", "mpiexec", "srun")]
    if not any(launchers) or importlib.util.find_spec("mpi4py") is None:
        print(
            "dtrain: a world of one, no MPI found; for more ranks: pip install 'dtrain[mpi]', "
            "then dtrain run -n 2 SCRIPT",
            file=sys.stderr,
        )
    return SoloCommunicator()
