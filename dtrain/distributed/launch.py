"""Turns `dtrain run -n 4 script.py` into the command line and variables of the MPI found here.

`plan` decides and starts nothing, `run` starts. That the ranks which come up form one world is
checked by the ranks themselves.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from dtrain.errors import LaunchError

_THREAD_VARIABLES = (
    "DTRAIN_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# Open MPI hands only its own variables to other hosts; of the user's, these make a rank there
# run as a rank here does. The second line's choose a BLAS's or compiler's kernels, and so the
# bits. PATH is not among them: Python is started by its full path.
_EXPORTED_PREFIXES = (
    *("DTRAIN_", "PYTHON", "MPI4PY_", "NCCL_", "CUPY_", "LD_LIBRARY_PATH"),
    *("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMBA_", "NPY_", "NVIDIA_TF32_OVERRIDE"),
)
# A batch system or an operator that lists the job's hosts for mpirun sets one of these.
_HOST_LIST_VARIABLES = (
    "PBS_NODEFILE",
    "LSB_DJOB_HOSTFILE",
    "PE_HOSTFILE",
    "HYDRA_HOST_FILE",
    "OMPI_MCA_orte_default_hostfile",
    "PRTE_MCA_prte_default_hostfile",
)


@dataclass(frozen=True)
class Launcher:
    """The program that starts ranks; `version` is the major one of Open MPI, else 0."""

    path: str
    kind: Literal["openmpi", "mpich", "srun"]
    version: int = 0


@dataclass(frozen=True)
class Machine:
    """All that a plan depends on besides the user's words."""

    launcher: Launcher
    num_cores: int
    is_root: bool
    host_names: frozenset[str]
    environ: Mapping[str, str]
    has_terminal: bool = True


@dataclass(frozen=True)
class LaunchPlan:
    """A command line and the variables to add to the environment it runs in."""

    argv: list[str]
    env: dict[str, str]

    def __str__(self) -> str:
        """The plan as one line for a shell."""
        assignments = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " ".join([*assignments, shlex.join(self.argv)])


@dataclass(frozen=True)
class _Host:
    name: str
    slots: int | None  # None: the hostfile leaves the number of ranks to the launcher


def plan(
    num_ranks: int | None,
    script: str,
    args: Sequence[str] = (),
    *,
    module: bool = False,
    hosts: str | None = None,
    hostfile: str | None = None,
    threads: int | None = None,
    machine: Machine | None = None,
) -> LaunchPlan:
    """Decide how to start `num_ranks` ranks of a Python script.

    A variable which is already set is never changed.

    Parameters
    ----------
    num_ranks : at least 1; None starts as many as `hosts` or `hostfile` have slots
    script : path of a Python file, or with ``module=True`` the name of a module
    args : what the script finds in ``sys.argv[1:]``
    hosts : such as ``"a:4,b:4"``; a host without a number takes one rank
    hostfile : path of a file in the form of the launcher found here
    threads : BLAS and OpenMP threads of a rank; None is ``DTRAIN_THREADS``, else 1.
        Not the cores divided by the ranks: a BLAS with another number of threads adds in another
        order, and the weights would depend on the number of ranks.
    machine : where to start; None is this machine

    Raises
    ------
    ValueError, FileNotFoundError
        If an argument is wrong.
    LaunchError
        If no MPI launcher is found.
    """
    _check_request(num_ranks, script, module, hosts, hostfile, threads)
    machine = machine or this_machine()
    launcher = machine.launcher
    if launcher.kind == "srun" and (hosts is not None or hostfile is not None):
        raise ValueError("srun takes the hosts from the Slurm allocation: leave out the hosts")
    named = []
    if hosts is not None:
        named = _parse_hosts(hosts)
    elif hostfile is not None:
        named = _read_hostfile(hostfile, launcher)
    num_ranks = _fit_to_slots(num_ranks, named)
    one_node = _is_one_node(named, machine)

    wanted = _thread_variables(threads, machine.environ)
    if launcher.kind == "openmpi":
        wanted |= _open_mpi_variables(num_ranks, one_node, machine)
        if not machine.has_terminal:
            # Open MPI gives its ranks a terminal of their own: they cannot see that ours is a file.
            wanted["DTRAIN_NO_TERMINAL"] = "1"
    env = {name: value for name, value in wanted.items() if name not in machine.environ}

    argv = [launcher.path, "-n", str(num_ranks)]
    if launcher.kind == "srun":
        argv += ["--cpus-per-task", wanted["DTRAIN_THREADS"], "--cpu-bind", "none"]
    elif hosts is not None:
        argv += ["--host" if launcher.kind == "openmpi" else "-hosts", hosts]
    elif hostfile is not None:
        argv += ["--hostfile" if launcher.kind == "openmpi" else "-f", hostfile]
    # MPICH and srun hand over the whole environment (MPICH's -genvlist would cut it down).
    if launcher.kind == "openmpi" and not one_node:
        for name in sorted({*env, *machine.environ}):
            if name.startswith(_EXPORTED_PREFIXES):
                argv += ["-x", name]
    # Under plain `python` a rank that raises leaves the others waiting for it for ever.
    argv += [sys.executable, "-m", "mpi4py", *(["-m"] if module else []), script, *args]
    return LaunchPlan(argv, env)


def run(plan: LaunchPlan) -> NoReturn:
    """Become the launcher.

    Replacing this process, instead of waiting for a child, means that SIGINT, SIGTERM and SIGUSR1
    sent to `dtrain run` reach the launcher itself, that its exit status is ours, and that killing
    us cannot leave it behind.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(plan.argv[0], plan.argv, {**os.environ, **plan.env})


def this_machine() -> Machine:
    """The launcher, cores, user, names and environment found here."""
    name = socket.gethostname()
    return Machine(
        launcher=find_launcher(os.environ),
        num_cores=_num_cores(),
        is_root=os.geteuid() == 0,
        host_names=frozenset({"localhost", "127.0.0.1", name, name.partition(".")[0]}),
        environ=dict(os.environ),
        has_terminal=sys.stdout.isatty(),
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


def _identify(path: str) -> Launcher:
    result = subprocess.run([path, "--version"], capture_output=True, text=True)
    answer = (result.stdout + result.stderr).strip()
    if match := re.search(r"\((?:Open MPI|OpenRTE)\) (\d+)", answer):
        return Launcher(path, "openmpi", int(match[1]))
    if re.search(r"HYDRA|Intel\(R\) MPI", answer):
        return Launcher(path, "mpich")
    raise LaunchError(
        f"{path} --version names neither Open MPI nor MPICH: {answer.partition(chr(10))[0]!r}.\n"
        f"Start the ranks by hand: {path} -n N {sys.executable} -m mpi4py script.py"
    )


def _num_cores() -> int:
    """Cores, not hardware threads: that is how Open MPI counts the ranks a machine has room for."""
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return os.cpu_count() or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(cpu))
    return len(cores)


def _check_request(
    num_ranks: int | None,
    script: str,
    module: bool,
    hosts: str | None,
    hostfile: str | None,
    threads: int | None,
) -> None:
    if num_ranks is not None and num_ranks < 1:
        raise ValueError(f"-n must be >= 1, got {num_ranks}")
    if threads is not None and threads < 1:
        raise ValueError(f"--threads must be >= 1, got {threads}")
    if hosts is not None and hostfile is not None:
        raise ValueError("--hosts and --hostfile both name the hosts: give one of them")
    if num_ranks is None and hosts is None and hostfile is None:
        raise ValueError("the number of ranks is missing: give -n 4, or hosts with --hosts a:4,b:4")
    if not module and not Path(script).is_file():
        unknown = script.startswith("-")
        hint = "an unknown option?" if unknown else "give a Python file, or -m module"
        raise FileNotFoundError(f"no such script: {script} ({hint})")


def _parse_hosts(text: str) -> list[_Host]:
    hosts = []
    for item in text.split(","):
        match = re.fullmatch(r"([^\s:]+)(?::([1-9]\d*))?", item)
        if match is None:
            raise ValueError(
                f"--hosts must be names with their numbers of ranks, such as a:4,b:4; "
                f"got {item!r} in {text!r}"
            )
        hosts.append(_Host(match[1], int(match[2] or 1)))
    return hosts


def _read_hostfile(path: str, launcher: Launcher) -> list[_Host]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"--hostfile: no such file: {path}")
    hosts = []
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        fields = line.partition("#")[0].split(maxsplit=1)
        if not fields:
            continue
        name, colon, ranks = fields[0].partition(":")
        slots = re.search(r"\bslots\s*=\s*(\d+)", line.partition("#")[0])
        if launcher.kind == "openmpi":
            well_formed, example = not colon, "name slots=4"
        else:
            well_formed, example = not slots and (ranks.isdecimal() or not colon), "name:4"
        if not well_formed:
            raise ValueError(
                f"{path}, line {number}: {launcher.path} reads lines such as {example!r}, "
                f"got {line.strip()!r}"
            )
        count = slots[1] if slots else ranks
        hosts.append(_Host(name, int(count) if count else None))
    if not hosts:
        raise ValueError(f"--hostfile: {path} names no host")
    return hosts


def _fit_to_slots(num_ranks: int | None, hosts: list[_Host]) -> int:
    slots = [host.slots for host in hosts if host.slots is not None]
    if num_ranks is None:
        if len(slots) < len(hosts):
            raise ValueError("the hostfile does not say how many ranks each host takes: give -n")
        return sum(slots)
    if hosts and len(slots) == len(hosts) and num_ranks > sum(slots):
        raise ValueError(f"-n {num_ranks} is more than the {sum(slots)} slots of the named hosts")
    return num_ranks


def _is_one_node(hosts: list[_Host], machine: Machine) -> bool:
    if hosts:
        return machine.host_names.issuperset(host.name for host in hosts)
    if "SLURM_JOB_ID" in machine.environ:
        return machine.environ.get("SLURM_JOB_NUM_NODES") == "1"
    return not any(name in machine.environ for name in _HOST_LIST_VARIABLES)


def _thread_variables(threads: int | None, environ: Mapping[str, str]) -> dict[str, str]:
    if threads is None:
        return dict.fromkeys(_THREAD_VARIABLES, environ.get("DTRAIN_THREADS", "1"))
    for name in _THREAD_VARIABLES:
        if environ.get(name, str(threads)) != str(threads):
            raise ValueError(
                f"--threads {threads}, but {name}={environ[name]} is set: "
                "unset it, or leave out --threads"
            )
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def _open_mpi_variables(num_ranks: int, one_node: bool, machine: Machine) -> dict[str, str]:
    if machine.launcher.version >= 5:  # its launcher is PRRTE, with variables of its own
        unbound = {"PRTE_MCA_hwloc_default_binding_policy": "none"}
        oversubscribed = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    else:
        unbound = {"OMPI_MCA_hwloc_base_binding_policy": "none"}
        oversubscribed = {"OMPI_MCA_rmaps_base_oversubscribe": "1"}
    # Open MPI ties a rank to one core, which starves its other threads (BLAS, data loader, GPU
    # driver) and puts the ranks of two jobs on one core; the scheduler of Linux does better.
    env = unbound
    if machine.is_root:
        env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if one_node:
        # Shared memory does it all here, and looking for a fabric costs a second at each start.
        env |= {"OMPI_MCA_btl": "^ofi", "OMPI_MCA_mtl": "^ofi", "OMPI_MCA_osc": "^ucx"}
        if num_ranks > machine.num_cores:
            # A rank that waits must leave the core to the one it waits for.
            env |= {"OMPI_MCA_mpi_yield_when_idle": "1"} | oversubscribed
    return env
