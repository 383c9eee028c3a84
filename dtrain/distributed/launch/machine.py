"""The machine that ranks are started from: its launcher, cores and names."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dtrain.distributed.launch.rank_terminal import find_terminal
from dtrain.distributed.launcher_variables import without_rank_variables
from dtrain.errors import LaunchError


@dataclass(frozen=True)
class Launcher:
    """The program that starts ranks; `version` is the major one of Open MPI, else 0."""

    path: str
    kind: Literal["openmpi", "mpich", "srun"]
    version: int = 0


@dataclass(frozen=True)
class Machine:
    """What a launch plan depends on besides the job's specification."""

    launcher: Launcher
    num_cores: int
    is_root: bool
    host_names: frozenset[str]
    environ: Mapping[str, str]
    has_terminal: bool = True
    shared_memory_bytes: int = 1 << 40  # free in /dev/shm
    #: names of its networks; None: not known
    interfaces: frozenset[str] | None = None
    #: HOST:PATH of the terminal that shows all output
    terminal: str | None = None


def this_machine() -> Machine:
    """The launcher, cores, user, host names and environment of this machine."""
    name = socket.gethostname()
    return Machine(
        launcher=find_launcher(os.environ),
        num_cores=num_cores(),
        is_root=os.geteuid() == 0,
        host_names=frozenset({"localhost", "127.0.0.1", name, name.partition(".")[0]}),
        environ={"HOME": _home(), **without_rank_variables(os.environ)},
        has_terminal=sys.stdout.isatty(),
        shared_memory_bytes=_free_shared_memory(),
        interfaces=frozenset(name for _, name in socket.if_nameindex()),
        terminal=find_terminal(),
    )


def find_launcher(environ: Mapping[str, str]) -> Launcher:
    """Find mpirun or mpiexec: beside the running Python first, then in PATH; else Slurm's srun."""
    path = environ.get("PATH", os.defpath)
    # The MPI library that mpi4py loads in a venv is the venv's own, and a launcher of another MPI
    # gives N worlds of one rank without an error.
    for folders in (os.path.dirname(sys.executable), path):
        for name in ("mpirun", "mpiexec"):
            if found := shutil.which(name, path=folders):
                return _identify(found)
    if "SLURM_JOB_ID" in environ and (found := shutil.which("srun", path=path)):
        return Launcher(found, "srun")
    raise LaunchError(
        "no mpirun or mpiexec beside this Python or in PATH.\n"
        'pip install "dtrain[mpi]" brings one (on a cluster, load its MPI module instead). '
        "Without MPI, `python script.py` runs a world of one rank, "
        "and `dtrain debug -n N script.py` runs N ranks as threads."
    )


def _free_shared_memory() -> int:
    """Bytes free in /dev/shm; 0 where it cannot be written."""
    try:
        free = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return free.f_bavail * free.f_frsize if os.access("/dev/shm", os.W_OK) else 0


def _home() -> str:
    """The user's folder, without which Open MPI starts nothing; cron and containers have none."""
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) else tempfile.gettempdir()


def _identify(path: str) -> Launcher:
    environ = {"HOME": _home(), **without_rank_variables(os.environ)}
    result = subprocess.run([path, "--version"], capture_output=True, text=True, env=environ)
    answer = (result.stdout + result.stderr).strip()
    if match := re.search(r"\((?:Open MPI|OpenRTE)\) (\d+)", answer):
        return Launcher(path, "openmpi", int(match[1]))
    if re.search(r"HYDRA|Intel\(R\) MPI", answer):
        return Launcher(path, "mpich")
    raise LaunchError(
        f"{path} --version names neither Open MPI nor MPICH: {answer.partition(chr(10))[0]!r}.\n"
        f"Start the ranks by hand: {path} -n N {sys.executable} -m mpi4py script.py"
    )


def num_cores() -> int:
    """The number of cores, not hardware threads: as Open MPI counts the slots of a machine."""
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return os.cpu_count() or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(cpu))
    return len(cores)
