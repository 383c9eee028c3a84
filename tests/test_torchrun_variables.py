"""The variables of torchrun that a rank has, and those that its children have not."""

import os
import threading

import pytest

from dtrain import distributed, multiprocessing
from dtrain.distributed.debug.rank_environ import set_rank_environ
from dtrain.distributed.launcher_variables import (
    TORCHRUN_VARIABLES,
    set_torchrun_variables,
    without_rank_variables,
)
from dtrain.errors import LaunchError

OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "6",
    "OMPI_COMM_WORLD_RANK": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "3",
}
MPICH = {"PMI_SIZE": "3", "PMI_RANK": "2", "MPI_LOCALRANKID": "2", "MPI_LOCALNRANKS": "3"}
PALS = {"PMI_SIZE": "4", "PMI_RANK": "3", "PALS_LOCAL_RANKID": "1", "PALS_LOCAL_SIZE": "2"}
JSRUN = {
    "JSM_NAMESPACE_SIZE": "4",
    "JSM_NAMESPACE_RANK": "2",
    "JSM_NAMESPACE_LOCAL_RANK": "0",
    "JSM_NAMESPACE_LOCAL_SIZE": "2",
}
MVAPICH = {
    "MV2_COMM_WORLD_SIZE": "2",
    "MV2_COMM_WORLD_RANK": "1",
    "MV2_COMM_WORLD_LOCAL_RANK": "0",
    "MV2_COMM_WORLD_LOCAL_SIZE": "1",
    "PMI_SIZE": "9",
    "PMI_RANK": "8",
}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
}


@pytest.fixture
def environ(monkeypatch):
    for name in (
        *OPEN_MPI,
        *MPICH,
        *PALS,
        *JSRUN,
        *MVAPICH,
        *SLURM,
        "DTRAIN_RANK_PROCESS",
        *TORCHRUN_VARIABLES,
    ):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("launched", "numbers", "address"),
    [
        (OPEN_MPI, "4 1 6 3 1 1", "head"), (MPICH, "2 2 3 3 0 0", "127.0.0.1"), (PALS, "3 1 4 2 1 1", "head"),
        (JSRUN, "2 0 4 2 1 1", "head"), (MVAPICH, "1 0 2 1 1 1", "head"), (SLURM, "4 0 5 1 2 2", "head"),
    ],
    ids=["Open MPI", "MPICH", "PALS", "jsrun", "MVAPICH", "Slurm"],
)  # fmt: skip
def test_a_rank_has_torchruns_variables(environ, launched, numbers, address):
    for name, value in launched.items():
        environ.setenv(name, value)
    found = {"MASTER_ADDR": "head", "RANK": "another's"}
    set_torchrun_variables(found)
    assert " ".join(found[name] for name in TORCHRUN_VARIABLES[:6]) == numbers
    assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == (address, "29500")
    assert without_rank_variables({**launched, **found, "HOME": "/"}).keys() >= {"HOME"}
    assert "RANK" not in without_rank_variables({**launched, **found})


def test_a_process_that_is_no_rank_keeps_its_variables(environ):
    found = {"RANK": "1", "WORLD_SIZE": "2"}
    set_torchrun_variables(found)
    assert found == {"RANK": "1", "WORLD_SIZE": "2"} == without_rank_variables(found)
    for name, value in OPEN_MPI.items():
        environ.setenv(name, value)
    environ.setenv("DTRAIN_RANK_PROCESS", "1")  # its parent is a rank
    set_torchrun_variables(found)
    assert found["RANK"] == "1"


def test_threads_have_ranks_of_their_own(environ):
    environ.setenv("RANK", "before")

    def body():
        distributed.barrier()
        names = "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK"
        return (
            [os.environ[name] for name in names],
            os.getenv("RANK"),
            threading.current_thread().name,
        )

    with set_rank_environ(3):
        found = distributed.run_ranks(3, body)
    for rank, (values, read, name) in enumerate(found):
        assert values == [str(rank), str(rank), "3", "3", "0"]
        assert (read, name) == (str(rank), f"rank {rank}")
    assert os.environ["RANK"] == "before"
    assert "WORLD_SIZE" not in os.environ
    assert type(os.environ) is os._Environ


def test_ranks_do_not_spawn_ranks(environ):
    with pytest.raises(
        LaunchError, match=r"the ranks run already.*python SCRIPT.*len\(rank, \.\.\.\)"
    ):
        distributed.run_ranks(2, lambda: (distributed.rank(), multiprocessing.spawn(len, (), 2)))
    with pytest.raises(ValueError, match="join=False"):
        multiprocessing.spawn(len, join=False)
