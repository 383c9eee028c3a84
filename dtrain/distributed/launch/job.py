"""What the user wants to run: ranks of a program, where, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


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
    environ : variables for the ranks on all hosts, in place of those that are set
    mpi_args, srun_args : words for the command line of mpirun, or of srun, before the program
    ssh_port : at which the other hosts' ssh listens; None is ssh's own choice
    interface : the network between the hosts, such as ``"eth0"`` or ``"10.0.0.0/24"``; None leaves
        the choice to MPI
    hosts_from : path of a program that prints the hosts there are, in place of `hosts`
    min_ranks : ranks without which the job does not start, nor starts again
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
    mpi_args: Sequence[str] = ()
    srun_args: Sequence[str] = ()
    ssh_port: int | None = None
    interface: str | None = None
    hosts_from: str | None = None
    min_ranks: int = 1

    def check(self) -> None:
        """Refuse what no launcher could start.

        Raises
        ------
        ValueError, FileNotFoundError
        """
        if self.num_ranks is not None and self.num_ranks < 1:
            raise ValueError(f"-n must be >= 1, got {self.num_ranks}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be >= 1, got {self.threads}")
        if not self.elastic and self.leave_on_error:
            raise ValueError(
                "--leave-on-error needs --elastic: other ranks cannot go on without one"
            )
        if not self.elastic and self.respawn:
            raise ValueError("--respawn needs --elastic: otherwise a job ends when a rank fails")
        if not self.frozen_after_s >= 1:
            raise ValueError(f"--frozen-after must be >= 1 second, got {self.frozen_after_s:g}")
        options = {
            "--hosts": self.hosts, "--hostfile": self.hostfile, "--hosts-from": self.hosts_from
        }  # fmt: skip
        if len(given := [name for name, value in options.items() if value is not None]) > 1:
            raise ValueError(f"{' and '.join(given)} both name the hosts: give one of them")
        if self.min_ranks < 1 or (self.num_ranks is not None and self.min_ranks > self.num_ranks):
            most = "the number of ranks" if self.num_ranks is None else self.num_ranks
            raise ValueError(f"--min-ranks must be 1 to {most}, got {self.min_ranks}")
        if self.ssh_port is not None and not 0 < self.ssh_port < 1 << 16:
            raise ValueError(f"--ssh-port must be 1 to 65535, got {self.ssh_port}")
        if not self.module and not Path(self.script).is_file():
            hint = "give a Python file, or -m module"
            if self.script.startswith("-"):
                own = _OWN_OPTIONS.get(self.script.partition("=")[0].lstrip("-").replace("-", "_"))
                hint = "an unknown option?" if own is None else f"dtrain run has {own}"
            raise FileNotFoundError(f"no such script: {self.script} ({hint})")
        if self.num_ranks is None and self.hosts is None and self.hostfile is None:
            raise ValueError(
                "the number of ranks is missing: give -n 4, or hosts with --hosts a:4,b:4"
            )


#: options of torchrun, accelerate, deepspeed, horovodrun and mpirun: what to give instead
_OWN_OPTIONS = {
    **dict.fromkeys(
        ("nproc_per_node", "nproc", "num_processes", "num_gpus"), "-n, the ranks of all hosts"
    ),
    **dict.fromkeys(
        ("nnodes", "num_machines", "num_nodes", "H", "host"),
        "--hosts a:4,b:4, and starts the ranks on all of them",
    ),
    **dict.fromkeys(("hostfile", "machinefile"), "--hostfile"),
    **dict.fromkeys(
        (
            "node_rank",
            "machine_rank",
            "rdzv_backend",
            "rdzv_endpoint",
            "rdzv_id",
            "master_addr",
            "master_port",
            "main_process_ip",
            "main_process_port",
            "standalone",
        ),
        "no such option: it is started once, and connects the ranks itself",
    ),
    "max_restarts": "--max-restarts N",
    "mca": "--mpi-args '--mca name value'",
    "map_by": "--mpi-args '--map-by ...'",
    "oversubscribe": "no need of it: there may be more ranks than cores",
    "allow_run_as_root": "no need of it",
    "tag_output": "--prefix",
    "output_filename": "--log-dir DIR",
}
