"""What the environment says of this process: whether a launcher started it as a rank, and as which.

A process that a rank starts inherits the rank's environment, but is no rank: ranks therefore note
their process id there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from dtrain import env
from dtrain.errors import LaunchError

# The last of each is srun's, and is there even where srun started ranks that know of no MPI.
_WORLD_SIZE = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
_RANK = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
_LOCAL_RANK = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID")
# What mpirun sets for its ranks: an mpirun that finds them takes itself for one.
_OF_RANKS = ("OMPI_COMM_WORLD_", "OMPI_MCA_ess", "PMIX_", "PMI_", "MPI_LOCAL", "PRTE_LAUNCHED")


def launched_world_size() -> int | None:
    """The number of ranks according to this process's launcher; None if it is no rank."""
    return None if parent_rank_process() is not None else _read(_WORLD_SIZE)


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
    """An environment without what a launcher has set for one of its ranks."""
    of_ranks = (*_OF_RANKS, env.RANK_PROCESS.name)
    return {name: value for name, value in environ.items() if not name.startswith(of_ranks)}


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
            f"are connected by MPI: start them by `dtrain run -n {size} script.py`. If no launcher "
            "started it, unset RANK, WORLD_SIZE and MASTER_ADDR"
        )


def _read(names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in os.environ:
            if not os.environ[name].isdecimal():
                raise LaunchError(
                    f"{name}={os.environ[name]!r} is no number as an MPI launcher sets it: unset it"
                )
            return int(os.environ[name])
    return None
