"""Turns `dtrain run -n 4 script.py` into a command line and variables for this machine's MPI.

`plan` decides and starts nothing; `supervise.py` starts. The ranks themselves check that they form
one world.
"""

import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtrain import env
from dtrain.distributed.launch.hosts import Host, parse_hosts, read_hostfile
from dtrain.distributed.launch.machine import Launcher, Machine, this_machine
from dtrain.errors import LaunchError

THREAD_VARIABLES = (
    env.THREADS.name,
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# Open MPI hands only its own variables to other hosts; of the user's, these make a rank there
# run as a rank here does. The second line's choose a BLAS's or compiler's kernels, and so the
# bits. PATH is not among them: Python is started by its full path.
_EXPORTED_PREFIXES = (
    *("DTRAIN_", "PYTHON", "MPI4PY_", "NCCL_", "CUPY_", "LD_LIBRARY_PATH", "MASTER_ADDR"),
    *("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMBA_", "NPY_", "NVIDIA_TF32_OVERRIDE"),
)
_RANK_SHARED_BYTES = 1 << 24  # that MPI takes in /dev/shm for its own messages
#: MPI's messages by TCP, within this machine
_OVER_LOOPBACK = {"OMPI_MCA_btl": "self,tcp", "OMPI_MCA_btl_tcp_if_include": "127.0.0.1/8"}
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
class JobSpec:
    """A job as the user specifies it: `num_ranks` ranks of a Python script.

    Parameters
    ----------
    num_ranks : at least 1; None is the number of slots of `hosts` or `hostfile`
    script : path of a Python file, or with ``module=True`` the name of a module
    args : the script's ``sys.argv[1:]``
    hosts : such as ``"a:4,b:4"``; a host without a number takes one rank
    hostfile : path of a file in the format of this machine's launcher
    threads : BLAS and OpenMP threads of a rank; None is ``DTRAIN_THREADS``, else 1.
        Not the cores divided by the ranks: a BLAS with another number of threads adds in another
        order, and the weights would depend on the number of ranks.
    elastic : whether survivors go on when ranks fail
    respawn : whether failed ranks are replaced: the job restarts at its next checkpoint
    leave_on_error : whether an elastic rank that raises leaves the job, instead of ending it
    frozen_after_s : seconds without a heartbeat after which an elastic rank has failed
    environ : variables for the ranks, in place of those that are set
    """

    num_ranks: int | None
    script: str
    args: Sequence[str] = ()
    module: bool = False
    hosts: str | None = None
    hostfile: str | None = None
    threads: int | None = None
    elastic: bool = False
    respawn: bool = False
    leave_on_error: bool = False
    frozen_after_s: float = 10
    environ: Mapping[str, str] = field(default_factory=dict)


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
    _check(job)
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
        wanted |= _open_mpi_variables(num_ranks, one_node, machine)
        if job.elastic:
            wanted |= _elastic_variables(job, one_node)
        if not machine.has_terminal:
            # Open MPI gives its ranks a terminal of their own: they cannot see that ours is a file.
            wanted[env.NO_TERMINAL.name] = "1"
    variables = {name: value for name, value in wanted.items() if name not in machine.environ}
    variables |= job.environ

    argv = [launcher.path, *(["--with-ft", "ulfm"] if job.elastic else []), "-n", str(num_ranks)]
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
            if name.startswith(_EXPORTED_PREFIXES):
                argv += ["-x", name]
    argv += [sys.executable, _RANK, *(["-m"] if job.module else []), job.script, *job.args]
    notes = _describe_shared_memory(num_ranks, machine) if _uses_tcp(variables) else ()
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


def _spelled(host: Host, launcher: Launcher) -> str:
    if host.slots is not None:
        return f"{host.name}:{host.slots}"
    return f"{host.name}:*" if launcher.kind == "openmpi" else host.name


def _check(job: JobSpec) -> None:
    if job.num_ranks is not None and job.num_ranks < 1:
        raise ValueError(f"-n must be >= 1, got {job.num_ranks}")
    if job.threads is not None and job.threads < 1:
        raise ValueError(f"--threads must be >= 1, got {job.threads}")
    if not job.elastic and job.leave_on_error:
        raise ValueError("--leave-on-error needs --elastic: other ranks cannot go on without one")
    if not job.elastic and job.respawn:
        raise ValueError("--respawn needs --elastic: otherwise a job ends when a rank fails")
    if not job.frozen_after_s >= 1:
        raise ValueError(f"--frozen-after must be >= 1 second, got {job.frozen_after_s:g}")
    if job.hosts is not None and job.hostfile is not None:
        raise ValueError("--hosts and --hostfile both name the hosts: give one of them")
    if job.num_ranks is None and job.hosts is None and job.hostfile is None:
        raise ValueError("the number of ranks is missing: give -n 4, or hosts with --hosts a:4,b:4")
    if not job.module and not Path(job.script).is_file():
        unknown = job.script.startswith("-")
        hint = "an unknown option?" if unknown else "give a Python file, or -m module"
        raise FileNotFoundError(f"no such script: {job.script} ({hint})")


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


def _open_mpi_variables(num_ranks: int, one_node: bool, machine: Machine) -> dict[str, str]:
    if machine.launcher.version >= 5:  # its launcher is PRRTE, with variables of its own
        unbound = {"PRTE_MCA_hwloc_default_binding_policy": "none"}
        oversubscribed = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    else:
        unbound = {"OMPI_MCA_hwloc_base_binding_policy": "none"}
        oversubscribed = {"OMPI_MCA_rmaps_base_oversubscribe": "1"}
    # Open MPI ties a rank to one core, which starves its other threads (BLAS, data loader, GPU
    # driver) and puts the ranks of two jobs on one core; the scheduler of Linux does better.
    variables = unbound
    if machine.is_root:
        variables |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if one_node:
        # Shared memory does it all here: no rank listens on the network, and none looks for a
        # fabric, which costs a second at each start.
        enough = machine.shared_memory_bytes >= num_ranks * _RANK_SHARED_BYTES
        variables |= {"OMPI_MCA_btl": "^ofi,tcp"} if enough else _OVER_LOOPBACK
        variables |= {"OMPI_MCA_mtl": "^ofi", "OMPI_MCA_osc": "^ucx"}
        if num_ranks > machine.num_cores:
            # A rank that waits must leave the core to the one it waits for.
            variables |= {"OMPI_MCA_mpi_yield_when_idle": "1"} | oversubscribed
    else:
        # Gradients travel while the backward pass runs: the thread that waits for them must leave
        # the core to it. And on one connection a message's first bytes stand behind the other
        # way's data: the two ways would take turns.
        variables |= {"OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_tcp_links": "2"}
    return variables


def _uses_tcp(variables: Mapping[str, str]) -> bool:
    """Whether MPI's messages go by TCP because there is too little shared memory."""
    return _OVER_LOOPBACK.items() <= variables.items() and env.ELASTIC.name not in variables


def _describe_shared_memory(num_ranks: int, machine: Machine) -> tuple[str, ...]:
    free, wanted = (n >> 20 for n in (machine.shared_memory_bytes, num_ranks * _RANK_SHARED_BYTES))
    return (
        f"/dev/shm has {free} MB free, and MPI's messages between {num_ranks} ranks take {wanted} "
        "MB there: they go by TCP within this machine, which is slower. A larger /dev/shm cures it "
        "(docker run --shm-size=1g)",
    )


def _elastic_variables(job: JobSpec, one_node: bool) -> dict[str, str]:
    """Variables for ULFM: only this transport, with these heartbeats, detects failed ranks."""
    detector = "OMPI_MCA_mpi_ft_detector"
    return {
        env.ELASTIC.name: "leave" if job.leave_on_error else "end",
        **({env.RESPAWN.name: "1"} if job.respawn else {}),
        "OMPI_MCA_pml": "ob1",
        # In shared memory (sm) the first heartbeat reaches ranks that are still in MPI_Init, before
        # they can take it, and ends them: one start of ten, where ranks share cores.
        **(_OVER_LOOPBACK if one_node else {"OMPI_MCA_btl": "self,tcp"}),
        # The other algorithms of Allgatherv report success with an untouched buffer when a rank
        # dies in it; the ring raises.
        "OMPI_MCA_coll_tuned_use_dynamic_rules": "1",
        "OMPI_MCA_coll_tuned_allgatherv_algorithm": "3",
        detector: "true",
        f"{detector}_thread": "true",  # for a rank may compute for long
        f"{detector}_period": f"{job.frozen_after_s / 5:g}",
        f"{detector}_timeout": f"{job.frozen_after_s:g}",
    }
