"""Which ranks there are: `init`, `rank`, `world_size`, and the communicator behind them."""

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
from typing import Any

from dtrain.distributed.comm.communicator import Communicator, SoloCommunicator
from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.call_site import is_user_frame
from dtrain.distributed.watchdog.monitor import abort_job, job_is_aborting
from dtrain.errors import DesyncError, LaunchError, RankFailedError


class _PerThread(threading.local):
    communicator: Communicator | None = None  # each rank of `dtrain debug` is a thread


_here = _PerThread()


def init() -> None:
    """Join the ranks that were launched together; a world of one if none were.

    Called by whatever needs the world first; calling it again does nothing. It also gives this
    process's BLAS the launcher's number of threads, one if nothing was said: with another
    number of threads a BLAS adds in another order, and the bits are others.

    Raises
    ------
    LaunchError
        If the MPI library is missing, or is not the one of the launcher.
    """
    if _here.communicator is None:
        set_communicator(_launched_communicator() or _solo_communicator())
        if timeline.trace_path():
            timeline.start_recording(communicator())
            atexit.register(_write_timeline)


def _write_timeline() -> None:
    if job_is_aborting.is_set():
        timeline.write_local()
        return
    try:
        timeline.write_gathered(communicator())
    except RankFailedError:  # an elastic rank was lost
        if rank() == 0:
            timeline.write_local()


def set_communicator(communicator: Communicator) -> None:
    """Make `communicator` this thread's world."""
    _limit_blas_threads(int(os.environ.get("DTRAIN_THREADS", "1")))
    _here.communicator = communicator


def current_rank() -> int | None:
    """The rank that this thread is, if it has joined a world."""
    return _here.communicator.rank if _here.communicator else None


def communicator() -> Communicator:
    """The communicator of this rank's world."""
    init()
    assert _here.communicator is not None
    return _here.communicator


def rank() -> int:
    """This rank's number, from 0 (torch.distributed.get_rank)."""
    return communicator().rank


def local_rank() -> int:
    """This rank's number among those of its machine, from 0 (torchrun's LOCAL_RANK).

    It is also the number of the GPU that "cuda" is here, modulo how many the machine has. Ranks
    that are threads share the GPU of their process.
    """
    launched = launched_local_rank()
    return rank() if launched is None else launched


def world_size() -> int:
    """How many ranks there are (torch.distributed.get_world_size).

    >>> world_size()
    1
    """
    return communicator().size


def barrier() -> None:
    """Wait until every rank is here (torch.distributed.barrier)."""
    communicator().barrier()


def launched_world_size() -> int | None:
    """How many ranks the launcher that started this process says it started; None without one."""
    # The last is srun's, and is there even where srun started ranks that know of no MPI.
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"):
        if name in os.environ:
            return int(os.environ[name])
    return None


def launched_local_rank() -> int | None:
    """This process's number among those that a launcher started on its machine; None without."""
    if launched_world_size() is None:
        return None
    for name in ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"):
        if name in os.environ:
            return int(os.environ[name])
    return None


def _launched_communicator() -> Communicator | None:
    expected = launched_world_size()
    if expected is None:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as reason:
        raise LaunchError(
            f"a launcher started this process as one of {expected} ranks, but mpi4py cannot be "
            f"used: {reason}. Install an MPI library into this environment: "
            "pip install 'dtrain[mpi]'"
        ) from reason
    _restore_python_handler(signal.SIGUSR1)
    comm = MPI.COMM_WORLD
    if comm.size != expected:
        raise LaunchError(
            f"the launcher started {expected} ranks, but {_library(MPI)} sees {comm.size}: the "
            "launcher belongs to another MPI than the library. Use the mpirun that came with "
            "the library (`dtrain run` looks beside Python first), or set MPI4PY_LIBMPI"
        )
    if comm.size > 1:
        sys.excepthook = _make_abort_hook(comm)
    from dtrain.distributed.comm.mpi import MpiCommunicator

    return MpiCommunicator(comm, elastic="DTRAIN_ELASTIC" in os.environ)


def _restore_python_handler(number: signal.Signals) -> None:
    """Give a signal the effect again that it has in Python; MPICH takes SIGUSR1 for itself."""
    handler = signal.getsignal(number)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


def _library(mpi: Any) -> str:
    name, version = mpi.get_vendor()
    return f"{name} {'.'.join(map(str, version))}"


def _make_abort_hook(comm: Any) -> Any:
    """What ends every rank when this one raises; under plain `python` the others would wait."""

    def hook(kind: type[BaseException], failure: BaseException, trace: Any) -> None:
        if comm.rank and isinstance(failure, DesyncError):
            time.sleep(1)  # mostly all ranks raise it: rank 0 says it
        abort_job(comm, format_rank_exception(failure))

    return hook


def format_rank_exception(failure: BaseException) -> str:
    """Which rank raised an exception, and its traceback from the program's first frame on."""
    trace = failure.__traceback__
    while trace is not None and not is_user_frame(trace.tb_frame):
        trace = trace.tb_next
    lines = traceback.format_exception(type(failure), failure, trace or failure.__traceback__)
    name = f"rank {_here.communicator.rank}" if _here.communicator else "a rank"
    return f"{name} on host {socket.gethostname()} raised:\n{''.join(lines).rstrip()}"


def _solo_communicator() -> Communicator:
    beside_python = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ.get("PATH", "")
    launchers = [shutil.which(name, path=beside_python) for name in ("mpirun", "mpiexec", "srun")]
    if not any(launchers) or importlib.util.find_spec("mpi4py") is None:
        print(
            "dtrain: a world of one, no MPI found; for more ranks: pip install 'dtrain[mpi]', "
            "then dtrain run -n 2 SCRIPT",
            file=sys.stderr,
        )
    return SoloCommunicator()


def _limit_blas_threads(threads: int) -> None:
    if os.environ.get("OPENBLAS_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS") == str(threads):
        return  # the BLAS began with it
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
