"""The communicator over MPI when ranks fail: what it revokes, with whom it goes on, what it keeps.

MPI is replaced by one whose ranks fail where a test says; no process is started.
"""

import types

import pytest

mpi4py = pytest.importorskip("mpi4py")

from dtrain.distributed.comm import mpi, recovery  # noqa: E402
from dtrain.distributed.comm.mpi import MpiCommunicator  # noqa: E402
from dtrain.distributed.comm.objects import IncompleteMessageError  # noqa: E402
from dtrain.distributed.comm.recovery import Position, RankProcess, Survivor  # noqa: E402
from dtrain.errors import RankFailedError  # noqa: E402


class MpiError(Exception):
    """Stands for MPI.Exception."""


class Job:
    """Four ranks, this one is rank 0. `faults` are (where, rank, error), in order."""

    def __init__(self):
        self.calls, self.faults, self.failed = [], [], set()
        #: what the other survivors report of themselves
        self.positions = dict.fromkeys(range(4), Position())

    def enter(self, place):
        self.calls.append(place)
        if self.faults and self.faults[0][0] == place:
            _, rank, error = self.faults.pop(0)
            self.failed.add(rank)
            raise error

    def process(self, rank):
        return RankProcess.current(0) if rank == 0 else RankProcess(rank, "host", rank, "once")


class Comm:
    """mpi4py's communicator of some of the job's ranks."""

    def __init__(self, job, ranks, name="comm"):
        self.job, self.ranks, self.name = job, ranks, name
        self.rank, self.size = ranks.index(0), len(ranks)

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def Barrier(self):
        self.job.enter("barrier")

    def Revoke(self):
        self.job.calls.append(f"revoke {self.name}")

    def Shrink(self):
        self.job.calls.append("shrink")
        return Comm(self.job, [rank for rank in self.ranks if rank not in self.job.failed], "new")

    def Dup(self):
        return Comm(self.job, self.ranks, f"copy of {self.name}")

    def allgather(self, value):
        self.job.enter("exchange")
        if isinstance(value, RankProcess):
            return [self.job.process(rank) for rank in self.ranks]
        assert value.process == self.job.process(0)
        self.job.positions[0] = value.position
        return [Survivor(self.job.positions[rank], self.job.process(rank)) for rank in self.ranks]


class Node:
    """The ranks of one machine."""

    def __init__(self, comm, elastic, log):
        comm.job.enter("join")
        self.all_ranks, self.size = [range(comm.size)], comm.size
        self.comm = Comm(comm.job, comm.ranks, f"node of {comm.name}")


class Watchdog:
    """The watchdog, which records what it is told."""

    def __init__(self, log, elastic):
        self.calls = []

    def join(self, comm):
        self.calls.append(f"join {comm.size}")

    def revoke(self):
        self.calls.append("revoke")

    def add_log(self, log):
        self.calls.append("add log")


@pytest.fixture
def job(monkeypatch):
    fake = types.SimpleNamespace(Exception=MpiError, THREAD_MULTIPLE=3, Query_thread=lambda: 3)
    monkeypatch.setattr(mpi4py, "MPI", fake, raising=False)
    monkeypatch.setattr(mpi, "NodeLocalGroup", Node)
    monkeypatch.setattr(mpi, "Watchdog", Watchdog)
    monkeypatch.setattr(recovery, "allgather_objects", lambda comm, value, _: comm.allgather(value))
    job = Job()
    monkeypatch.setattr(RankProcess, "terminate", lambda self: job.calls.append(f"end {self.rank}"))
    return job


def communicator(job, elastic=True):
    comm = MpiCommunicator(Comm(job, [0, 1, 2, 3]), elastic)
    job.calls.clear()
    comm.watchdog.calls.clear()
    return comm


RECOVERED = ["revoke comm", "revoke node of comm", "revoke comm", "shrink", "exchange", "join"]


def test_a_commit_that_all_ranks_reach_is_noted(job):
    comm = communicator(job)
    assert comm.commit() is True
    assert job.calls == ["barrier"]
    job.failed.add(2)
    comm.recover()
    assert job.positions[0] == Position(1)


@pytest.mark.parametrize(
    ("others", "committed"),
    [
        ([Position(), Position()], False),
        ([Position(0, True), Position()], False),
        ([Position(0, True), Position(0, True)], True),
        ([Position(1), Position(0, True)], True),
    ],
)
def test_a_failure_at_the_commit_is_decided_by_the_survivors_positions(job, others, committed):
    comm = communicator(job)
    job.faults = [("barrier", 2, MpiError())]
    job.positions |= dict(zip((1, 3), others))
    assert comm.commit() is committed
    assert job.positions[0] == Position(0, True)  # what this rank told the others
    assert job.calls == ["barrier", *RECOVERED, "end 2"]
    assert (comm.rank, comm.size, comm.collective_log.sequence_number) == (0, 3, 0)
    job.failed.add(3)
    comm.recover()
    assert job.positions[0] == Position(int(committed), False)


@pytest.mark.parametrize("place", ["exchange", "join"])
@pytest.mark.parametrize("error", [MpiError(), IncompleteMessageError()])
def test_one_more_rank_fails_amid_the_recovery(job, capsys, place, error):
    comm = communicator(job)
    job.failed.add(1)
    job.faults = [(place, 3, error)]
    assert comm.recover() is False
    again = job.calls[job.calls.index("shrink") + 1 :]
    assert again.index("revoke new") < again.index("shrink")  # whoever waits in the first attempt
    assert job.calls[-2:] == ["end 1", "end 3"]
    assert comm.size == 2
    assert "failed ranks: 1 on host, 3 on host; 2 survivors go on" in capsys.readouterr().err


def test_another_error_amid_the_recovery_is_raised(job):
    comm = communicator(job)
    job.faults = [("join", 3, OSError("no memory"))]
    with pytest.raises(OSError, match="no memory"):
        comm.recover()


def test_duplicates_and_the_watchdog_are_revoked_and_join_the_survivors(job):
    comm = communicator(job)
    duplicate = comm.duplicate()
    job.calls.clear()
    comm.watchdog.calls.clear()
    job.failed.add(2)
    comm.recover()
    before = job.calls[: job.calls.index("shrink")]
    assert {"revoke comm", "revoke copy of comm", "revoke node of copy of comm"} <= set(before)
    assert comm.watchdog.calls == ["revoke", "join 3"]  # once: the duplicate does not own it
    assert (duplicate.size, duplicate.rank) == (3, 0)


def test_an_mpi_error_is_a_failed_rank_only_where_ranks_may_fail(job):
    for elastic, kind in ((True, RankFailedError), (False, MpiError)):
        comm = communicator(job, elastic)
        job.faults = [("barrier", 1, MpiError("code 75"))]
        with pytest.raises(kind, match="code 75"):
            comm.barrier()
    error = ValueError("mine")
    assert communicator(job).failure(error) is error


@pytest.mark.parametrize("place", ["exchange", "join"])
def test_a_rank_that_fails_while_the_world_is_made(job, place):
    job.faults = [(place, 1, MpiError("code 75"))]
    with pytest.raises(RankFailedError, match="code 75"):
        MpiCommunicator(Comm(job, [0, 1, 2, 3]), elastic=True)
    job.faults = [(place, 1, MpiError("code 75"))]
    with pytest.raises(MpiError, match="code 75"):
        MpiCommunicator(Comm(job, [0, 1, 2, 3]))
