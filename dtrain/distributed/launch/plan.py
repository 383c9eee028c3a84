"""Turns `dtrain run -n 4 script.py` into a command line and variables for this machine's MPI.

`plan` decides and starts nothing; `supervise.py` starts. The ranks themselves check that they form
one world.
"""

import shlex
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from dtrain import env
from dtrain.distributed.launch.hosts import Host, parse_hosts, read_hostfile
from dtrain.distributed.launch.job import JobSpec
from dtrain.distributed.launch.machine import Launcher, Machine, this_machine
from dtrain.distributed.launch.network import network_arguments, network_variables
from dtrain.distributed.launch.open_mpi import (
    describe_shared_memory,
    elastic_variables,
    open_mpi_variables,
    uses_tcp,
)
from dtrain.errors import LaunchError

THREAD_VARIABLES = (
    env.THREADS.name,
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# Open MPI hands only its own variables to other hosts; of the user's, these make a rank there
# run as a rank here does. The last line's choose a BLAS's or compiler's kernels, and so the
# bits. PATH is not among them: Python is started by its full path.
_EXPORTED_PREFIXES = (
    *("DTRAIN_", "PYTHON", "MPI4PY_", "NCCL_", "CUPY_", "CUDA_", "LD_LIBRARY_PATH", "MASTER_ADDR"),
    *("HF_", "WANDB_"),
    *("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMBA_", "NPY_", "NVIDIA_TF32_OVERRIDE"),
)
# Under plain `python` the other ranks would wait for ever for one that raises. It is a path, not a
# module's name: `-m` would import dtrain before the file that watches the import.
_RANK = str(Path(__file__).with_name("start_monitor.py"))
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
class LaunchPlan:
    """A command line and the variables to add to the environment it runs in."""

    argv: list[str]
    env: dict[str, str]
    num_ranks: int = 1
    one_node: bool = True
    #: what the user is told before the ranks start
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The plan as one line for a shell."""
        assignments = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " ".join([*assignments, shlex.join(self.argv)])


def plan(
    job: JobSpec, machine: Machine | None = None, excluded_hosts: Collection[str] = frozenset()
) -> LaunchPlan:
    """Decide how to start a job; an environment variable that is already set keeps its value.

    Parameters
    ----------
    job : what to start
    machine : where to start it; None is this machine
    excluded_hosts : hosts to do without; if the others have fewer slots than the job has ranks,
        it gets as many ranks as they have slots

    Returns
    -------
    LaunchPlan, whose text is one line for a shell

    Raises
    ------
    ValueError, FileNotFoundError
        If the job, or a ``DTRAIN_*`` variable, is wrong.
    LaunchError
        If no MPI launcher is found, or not the one that the job needs.

    Examples
    --------
    >>> import sys
    >>> from dtrain.distributed.launch import JobSpec, Launcher, Machine, plan
    >>> launcher = Launcher("mpiexec", "mpich")
    >>> machine = Machine(launcher, 2, False, frozenset({"localhost"}), {"PATH": "/bin"})
    >>> plan(JobSpec(2, "train", module=True), machine).argv[:3]
    ['mpiexec', '-n', '2']
    """
    job.check()
    machine = machine or this_machine()
    env.check(machine.environ)
    launcher = machine.launcher
    if job.elastic and (launcher.kind != "openmpi" or launcher.version < 5):
        raise LaunchError(
            "--elastic needs Open MPI 5, whose ranks survive the failure of others; "
            f"{launcher.path} is another MPI. "
            "--max-restarts works with any: the job goes on from its checkpoints"
        )
    named = named_hosts(job, launcher)
    remaining = [host for host in named if host.name not in excluded_hosts]
    num_ranks = _fit_to_slots(job.num_ranks, remaining, shrink=len(remaining) < len(named))
    one_node = _is_one_node(remaining, machine)

    wanted = _thread_variables(job.threads, machine.environ)
    if launcher.kind == "openmpi":
        wanted |= open_mpi_variables(num_ranks, one_node, machine)
        if job.elastic:
            wanted |= elastic_variables(job, one_node)
        if not machine.has_terminal:
            # Open MPI gives its ranks a terminal of their own: they cannot see that ours is a file.
            wanted[env.NO_TERMINAL.name] = "1"
    if machine.terminal is not None:
        wanted[env.TERMINAL.name] = machine.terminal
    variables = {name: value for name, value in wanted.items() if name not in machine.environ}
    variables |= network_variables(job, machine, one_node)
    variables |= job.environ

    argv = [launcher.path, *(["--with-ft", "ulfm"] if job.elastic else []), "-n", str(num_ranks)]
    argv += network_arguments(job, launcher)
    if launcher.kind == "srun":
        argv += ["--cpus-per-task", wanted[env.THREADS.name], "--cpu-bind", "none"]
    elif job.hosts is not None or len(remaining) < len(named):
        option = "--host" if launcher.kind == "openmpi" else "-hosts"
        argv += [option, ",".join(_spelled(host, launcher) for host in remaining)]
    elif job.hostfile is not None:
        argv += ["--hostfile" if launcher.kind == "openmpi" else "-f", job.hostfile]
    # MPICH and srun hand over the whole environment (MPICH's -genvlist would cut it down).
    if launcher.kind == "openmpi" and not one_node:
        for name in sorted({*variables, *machine.environ}):
            if name.startswith(_EXPORTED_PREFIXES) or name in job.environ:
                argv += ["-x", name]
    argv += _launcher_words(job, launcher)
    argv += [sys.executable, _RANK, *(["-m"] if job.module else []), job.script, *job.args]
    notes = describe_shared_memory(num_ranks, machine) if uses_tcp(variables) else ()
    return LaunchPlan(argv, variables, num_ranks, one_node, notes)


def named_hosts(job: JobSpec, launcher: Launcher) -> list[Host]:
    """The hosts that the user named; none if the launcher chooses them."""
    if job.hosts is None and job.hostfile is None:
        return []
    if launcher.kind == "srun":
        raise ValueError(
            "srun takes the hosts from the Slurm allocation: omit --hosts and --hostfile"
        )
    if job.hosts is not None:
        return parse_hosts(job.hosts)
    assert job.hostfile is not None
    return read_hostfile(job.hostfile, launcher)


def _launcher_words(job: JobSpec, launcher: Launcher) -> list[str]:
    """The words that the user gives to the launcher itself."""
    of_srun = launcher.kind == "srun"
    if unused := job.mpi_args if of_srun else job.srun_args:
        option, other = ("mpi", "srun") if of_srun else ("srun", "mpi")
        raise ValueError(
            f"--{option}-args {shlex.join(unused)!r}: {launcher.path} starts the ranks; "
            f"give its options by --{other}-args"
        )
    return list(job.srun_args if of_srun else job.mpi_args)


def _spelled(host: Host, launcher: Launcher) -> str:
    if host.slots is not None:
        return f"{host.name}:{host.slots}"
    return f"{host.name}:*" if launcher.kind == "openmpi" else host.name


def _fit_to_slots(num_ranks: int | None, hosts: list[Host], shrink: bool) -> int:
    slots = [host.slots for host in hosts if host.slots is not None]
    if num_ranks is None:
        if len(slots) < len(hosts):
            raise ValueError("the hostfile does not say how many ranks each host takes: give -n")
        return sum(slots)
    if hosts and len(slots) == len(hosts) and num_ranks > sum(slots):
        if shrink:
            return sum(slots)
        raise ValueError(f"-n {num_ranks} is more than the {sum(slots)} slots of the named hosts")
    return num_ranks


def _is_one_node(hosts: list[Host], machine: Machine) -> bool:
    if hosts:
        return machine.host_names.issuperset(host.name for host in hosts)
    if "SLURM_JOB_ID" in machine.environ:
        return machine.environ.get("SLURM_JOB_NUM_NODES") == "1"
    return not any(name in machine.environ for name in _HOST_LIST_VARIABLES)


def _thread_variables(threads: int | None, environ: Mapping[str, str]) -> dict[str, str]:
    if threads is None:
        return dict.fromkeys(THREAD_VARIABLES, str(env.THREADS.read(environ)))
    for name in THREAD_VARIABLES:
        if environ.get(name, str(threads)) != str(threads):
            raise ValueError(
                f"--threads {threads}, but {name}={environ[name]} is set: "
                "unset it, or omit --threads"
            )
    return dict.fromkeys(THREAD_VARIABLES, str(threads))
