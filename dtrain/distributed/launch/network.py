"""Which network and which port of ssh a job uses, told to each launcher in its own words."""

from __future__ import annotations

from dtrain.distributed.launch.job import JobSpec
from dtrain.distributed.launch.machine import Launcher, Machine


def network_variables(job: JobSpec, machine: Machine, one_node: bool) -> dict[str, str]:
    """The variables for `job.ssh_port` and `job.interface`.

    Raises
    ------
    ValueError
        If the launcher takes its hosts from Slurm, which knows how to reach them, or this machine
        has no such interface.
    """
    launcher, known = machine.launcher, machine.interfaces
    given = {"--ssh-port": job.ssh_port, "--interface": job.interface}
    if launcher.kind == "srun" and (named := [name for name, value in given.items() if value]):
        raise ValueError(
            f"{named[0]}: srun starts the ranks, and Slurm's settings say how: omit it"
        )
    is_name = job.interface is not None and "/" not in job.interface
    if is_name and known is not None and job.interface not in known:
        raise ValueError(
            f"--interface {job.interface}: this machine has {', '.join(sorted(known))}"
        )
    variables = {}
    if job.ssh_port is not None:
        variables[_SSH_ARGUMENTS[launcher.kind, launcher.version >= 5]] = f"-p {job.ssh_port}"
    if job.interface is not None and not one_node:
        if launcher.kind == "openmpi":
            of_launcher = "PRTE_MCA_prte" if launcher.version >= 5 else "OMPI_MCA_oob_tcp"
            variables |= dict.fromkeys(
                ("OMPI_MCA_btl_tcp_if_include", f"{of_launcher}_if_include"), job.interface
            )
        if is_name:
            variables["NCCL_SOCKET_IFNAME"] = job.interface
    return variables


def network_arguments(job: JobSpec, launcher: Launcher) -> list[str]:
    """The words of the launcher's command line for `job.interface`: MPICH has no variable."""
    if job.interface is None or launcher.kind != "mpich":
        return []
    if "/" in job.interface:
        raise ValueError(f"--interface {job.interface}: MPICH takes a name such as eth0")
    return ["-iface", job.interface]


#: by the launcher's kind, and whether it is Open MPI 5 or newer
_SSH_ARGUMENTS = {
    ("openmpi", True): "PRTE_MCA_plm_ssh_args",
    ("openmpi", False): "OMPI_MCA_plm_rsh_args",
    ("mpich", False): "HYDRA_LAUNCHER_EXTRA_ARGS",
}
