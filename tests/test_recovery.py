"""What survivors of failed ranks conclude: who failed, and whether their transaction is committed."""

import pytest

from dtrain.distributed.comm import recovery
from dtrain.distributed.comm.recovery import Position, RankProcess, RecoveryState, is_committed


class Comm:
    """A rank's communicator of four; with `told`, a shrunk one that collects what ranks tell."""

    def __init__(self, rank, told=None):
        self._rank, self._told = rank, told

    def Get_rank(self):
        return self._rank

    def allgather(self, value):
        if self._told is None:
            return [RankProcess.current(rank) for rank in range(4)]
        self._told.append(value)
        return self._told


@pytest.fixture(autouse=True)
def terminated(monkeypatch):
    monkeypatch.setattr(recovery, "allgather_objects", lambda comm, value, _: comm.allgather(value))
    ranks = []
    monkeypatch.setattr(RankProcess, "terminate", lambda self: ranks.append(self.rank))
    return ranks


def survivor_reports(states, survivors):
    """What the survivors tell each other."""
    told = []
    for rank in survivors:
        states[rank].exchange(Comm(survivors.index(rank), told))
    return told


def test_failed_ranks_are_terminated_and_survivors_are_not(terminated, capsys):
    states = {rank: RecoveryState(Comm(rank)) for rank in range(4)}
    reports = survivor_reports(states, [0, 2, 3])
    assert states[0].continue_with(reports) is False
    assert terminated == [1]
    assert "failed ranks: 1 on " in capsys.readouterr().err
    assert states[3].continue_with(reports) is False
    assert capsys.readouterr().err == ""  # the lowest survivor alone reports


def test_a_failure_amid_a_recovery_leaves_every_rank_its_own_process(terminated, capsys):
    states = {rank: RecoveryState(Comm(rank)) for rank in range(4)}
    survivor_reports(states, [0, 2, 3])  # rank 1 failed; then rank 3, before all had joined
    states[0].continue_with(survivor_reports(states, [0, 2]))
    assert terminated == [1, 3]
    assert "failed ranks: 1 on " in capsys.readouterr().err


def test_an_mpi_error_without_a_failed_rank_is_no_recovery(terminated):
    states = {rank: RecoveryState(Comm(rank)) for rank in range(4)}
    with pytest.raises(RuntimeError, match="although no rank"):
        states[0].continue_with(survivor_reports(states, range(4)))
    assert terminated == []


@pytest.mark.parametrize(
    ("own", "others", "committed"),
    [
        (Position(4), [Position(4)], False),
        (Position(4), [Position(4, True)], False),
        (Position(4, True), [Position(4)], False),
        (Position(4, True), [Position(4, True)], True),
        (Position(4, True), [Position(5)], True),
        (Position(4, True), [Position(5, True)], True),
        (Position(5), [Position(4, True)], False),
        (Position(4), [Position(5)], False),
    ],
)
def test_a_transaction_is_committed_if_every_rank_had_done_it(own, others, committed):
    assert is_committed(own, [own, *others]) is committed


def test_a_rank_that_repeats_its_transaction_has_not_committed_it(terminated):
    states = {rank: RecoveryState(Comm(rank)) for rank in range(4)}
    states[0].begin_commit()
    assert states[0].continue_with(survivor_reports(states, [0, 2, 3])) is False
    assert survivor_reports(states, [0])[0].position == Position(0)


def test_a_rank_at_the_commit_follows_one_that_has_passed_it(terminated):
    states = {rank: RecoveryState(Comm(rank)) for rank in range(4)}
    states[0].begin_commit()
    states[2].begin_commit()
    states[2].end_commit()
    assert states[0].continue_with(survivor_reports(states, [0, 2])) is True
    assert survivor_reports(states, [0, 2])[0].position == Position(1)
