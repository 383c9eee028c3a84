"""The variables by which Open MPI is told how to start ranks, and how they send messages."""

from __future__ import annotations

from collections.abc import Mapping

from dtrain import env
from dtrain.distributed.launch.job import JobSpec
from dtrain.distributed.launch.machine import Machine

_RANK_SHARED_BYTES = 1 << 24  # that MPI takes in /dev/shm for its own messages
#: MPI's messages by TCP, within this machine
_OVER_LOOPBACK = {"OMPI_MCA_btl": "self,tcp", "OMPI_MCA_btl_tcp_if_include": "127.0.0.1/8"}


def open_mpi_variables(num_ranks: int, one_node: bool, machine: Machine) -> dict[str, str]:
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


def uses_tcp(variables: Mapping[str, str]) -> bool:
    """Whether MPI's messages go by TCP because there is too little shared memory."""
    return _OVER_LOOPBACK.items() <= variables.items() and env.ELASTIC.name not in variables


def describe_shared_memory(num_ranks: int, machine: Machine) -> tuple[str, ...]:
    free, wanted = (n >> 20 for n in (machine.shared_memory_bytes, num_ranks * _RANK_SHARED_BYTES))
    return (
        f"/dev/shm has {free} MB free, and MPI's messages between {num_ranks} ranks take {wanted} "
        "MB there: they go by TCP within this machine, which is slower. A larger /dev/shm cures it "
        "(docker run --shm-size=1g)",
    )


def elastic_variables(job: JobSpec, one_node: bool) -> dict[str, str]:
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
