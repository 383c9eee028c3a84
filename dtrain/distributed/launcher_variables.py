"""What the environment says of this process: whether a launcher started it as a rank, and as which.

A process that a rank starts inherits the rank's environment, but is no rank: ranks therefore note
their process id there.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, MutableMapping

from dtrain import env
from dtrain.errors import LaunchError

# Of Open MPI, MVAPICH, Hydra (MPICH, Intel MPI) and Cray's PALS, IBM's jsrun. The last of each is
# srun's, and is there even where srun started ranks that know of no MPI.
WORLD_SIZE_VARIABLES = (
    "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "JSM_NAMESPACE_SIZE",
    "SLURM_STEP_NUM_TASKS",
)  # fmt: skip
_RANK = (
    "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMI_RANK", "JSM_NAMESPACE_RANK",
    "SLURM_PROCID",
)  # fmt: skip
_LOCAL_RANK = (
    "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
    "PALS_LOCAL_RANKID", "JSM_NAMESPACE_LOCAL_RANK", "SLURM_LOCALID",
)  # fmt: skip
_LOCAL_WORLD_SIZE = (
    "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
    "PALS_LOCAL_SIZE", "JSM_NAMESPACE_LOCAL_SIZE",
)  # fmt: skip
#: what torchrun sets for its ranks
TORCHRUN_VARIABLES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK"),
    *("MASTER_ADDR", "MASTER_PORT"),
)
_MASTER_PORT = "29500"  # torchrun's; no rank of dtrain listens there
# What mpirun sets for its ranks: an mpirun that finds them takes itself for one.
_OF_RANKS = (
    "OMPI_COMM_WORLD_", "OMPI_MCA_ess", "PMIX_", "PMI_", "MPI_LOCAL", "PRTE_LAUNCHED",
    "MV2_COMM_WORLD_", "PALS_", "JSM_NAMESPACE_",
)  # fmt: skip


def launched_world_size() -> int | None:
    """The number of ranks according to this process's launcher; None if it is no rank."""
    return None if parent_rank_process() is not None else _read(WORLD_SIZE_VARIABLES)


def launched_rank() -> int | None:
    """The number of this rank according to its launcher; None if it is no rank."""
    return None if launched_world_size() is None else _read(_RANK)


def launched_local_rank() -> int | None:
    """This rank's number among its machine's according to the launcher; None if it is no rank."""
    return None if launched_world_size() is None else _read(_LOCAL_RANK)


def note_rank_process() -> None:
    """Note that this process is a rank, so that its children know that they are none."""
    os.environ[env.RANK_PROCESS.name] = str(os.getpid())


def parent_rank_process() -> int | None:
    """The process id of the rank from which this process descends; None if it does not."""
    noted = env.RANK_PROCESS.read()
    return None if noted is None or noted == os.getpid() else noted


def without_rank_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without what a launcher and `set_torchrun_variables` set for a rank."""
    of_ranks = (*_OF_RANKS, env.RANK_PROCESS.name)
    is_rank = any(name in environ for name in WORLD_SIZE_VARIABLES)
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(of_ranks) and not (is_rank and name in TORCHRUN_VARIABLES)
    }


def set_torchrun_variables(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables by which programs for torchrun know their rank; not for other processes."""
    size, rank, local_rank = launched_world_size(), launched_rank(), launched_local_rank() or 0
    if size is None or rank is None:
        return
    local_size = _read(_LOCAL_WORLD_SIZE) or _read_slurm_local_size() or size
    variables = torchrun_variables(rank, size, local_rank, local_size)
    if local_size < size and "MASTER_ADDR" in environ:  # `dtrain run` has named its own host
        del variables["MASTER_ADDR"]
    if "SLURM_NODEID" in os.environ and "SLURM_STEP_TASKS_PER_NODE" in os.environ:
        variables |= dict.fromkeys(("NODE_RANK", "GROUP_RANK"), os.environ["SLURM_NODEID"])
    environ.update(variables)


def torchrun_variables(rank: int, size: int, local_rank: int, local_size: int) -> dict[str, str]:
    """What torchrun would set for a rank; machines have equal numbers of ranks.

    >>> torchrun_variables(3, 4, 1, 2)["NODE_RANK"]
    '1'
    """
    node = str((rank - local_rank) // local_size)
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(local_rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(local_size),
        "NODE_RANK": node,
        "GROUP_RANK": node,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": _MASTER_PORT,
    }


def _read_slurm_local_size() -> int | None:
    """The number of ranks on this machine, from a text such as "4(x2),3"."""
    if "SLURM_STEP_TASKS_PER_NODE" not in os.environ:
        return None
    sizes: list[int] = []
    for part in os.environ["SLURM_STEP_TASKS_PER_NODE"].split(","):
        count, _, times = part.partition("(x")
        sizes += [int(count)] * int(times.rstrip(")") or 1)
    node = os.environ.get("SLURM_NODEID", "0")
    return sizes[int(node)] if node.isdecimal() and int(node) < len(sizes) else None


def refuse_other_launchers() -> None:
    """Refuse to be a world of one where a launcher without MPI has started several.

    Raises
    ------
    LaunchError
        If torchrun, accelerate or a launcher like them started this process.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ or not size.isdecimal():
        return
    if int(size) > 1:
        accelerate = any(name.startswith("ACCELERATE_") for name in os.environ)
        by = "accelerate launch" if accelerate else "torchrun, or a launcher like it,"
        raise LaunchError(
            f"{by} started this process as rank {os.environ['RANK']} of {size}, but dtrain's ranks "
            f"are connected by MPI: start them by `dtrain run {_own_command(size)}`. If no "
            "launcher started it, unset RANK, WORLD_SIZE and MASTER_ADDR"
        )


def _own_command(size: str) -> str:
    """What `dtrain run` takes to start this program on `size` ranks."""
    served = "dtrain" in getattr(sys.modules.get("torch"), "__version__", "")
    return shlex.join([*(["--as-torch"] if served else []), "-n", size, *sys.argv])


def _read(names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in os.environ:
            if not os.environ[name].isdecimal():
                raise LaunchError(
                    f"{name}={os.environ[name]!r} is no number as an MPI launcher sets it: unset it"
                )
            return int(os.environ[name])
    return None
