"""Transactions: when work is committed, rolled back and run again, on a communicator that tells."""

import pytest

from dtrain.distributed import step as steps, world
from dtrain.distributed.comm.communicator import SoloCommunicator
from dtrain.distributed.context import run_context
from dtrain.distributed.elastic.transaction import recoverable, run_transaction
from dtrain.errors import RankFailedError


class Elastic(SoloCommunicator):
    """A communicator that records what it is asked; `commits` are the results of its commits."""

    elastic = True

    def __init__(self, calls, commits=(True,)):
        self.calls, self.commits = calls, iter(commits)

    def commit(self):
        self.calls.append("commit")
        return next(self.commits)

    def revoke(self):
        self.calls.append("revoke")

    def recover(self):
        self.calls.append("recover")
        return False


@pytest.fixture
def calls(monkeypatch):
    """What happens, in order; the world is an elastic one that commits."""
    calls = []
    monkeypatch.setattr(run_context(), "communicator", Elastic(calls))
    return calls


def run(calls, error=None):
    """A transaction whose work may raise."""

    def work():
        calls.append("work")
        assert run_context().in_transaction
        if error is not None:
            raise error

    return run_transaction(work, lambda: calls.append("rollback"))


def test_work_that_all_ranks_have_done_is_committed(calls):
    assert run(calls) is True
    assert calls == ["work", "commit"]
    assert not run_context().in_transaction


def test_work_that_not_all_ranks_have_done_is_rolled_back(calls):
    world.set_communicator(Elastic(calls, [False]))
    assert run(calls) is False
    assert calls == ["work", "commit", "rollback"]


def test_after_a_failure_within_the_work_ranks_are_woken_before_anything_else(calls):
    assert run(calls, RankFailedError("2")) is False
    assert calls == ["work", "revoke", "rollback", "recover"]
    assert not run_context().in_transaction


def test_an_error_of_the_work_itself_is_no_failed_rank(calls):
    with pytest.raises(KeyError, match="mine"):
        run(calls, KeyError("mine"))
    assert calls == ["work"]
    assert not run_context().in_transaction


def test_a_transaction_within_another_is_part_of_it(calls):
    inner = []
    assert run_transaction(lambda: run(inner), lambda: None) is True
    assert (inner, calls) == (["work"], ["commit"])


def test_a_failure_within_an_inner_transaction_reaches_the_outer_one(calls):
    inner = []
    assert run_transaction(lambda: run(inner, RankFailedError("1")), lambda: None) is False
    assert (inner, calls) == (["work"], ["revoke", "recover"])


def test_without_elastic_ranks_work_simply_runs(monkeypatch):
    monkeypatch.setattr(run_context(), "communicator", SoloCommunicator())
    done = []
    assert run_transaction(lambda: done.append(1), lambda: done.append("rollback")) is True
    with pytest.raises(RankFailedError):
        run_transaction(lambda: (_ for _ in ()).throw(RankFailedError("1")), done.clear)
    assert done == [1]


def test_a_recoverable_function_runs_until_it_is_committed(calls):
    world.set_communicator(Elastic(calls, [False, False, True]))
    numbers = iter([10, 20, 30])

    @recoverable
    def draw(added, *, scale=1):
        number = next(numbers)
        if number == 20:
            raise RankFailedError("1")
        return scale * number + added

    with pytest.raises(StopIteration):  # the third one is not committed either
        draw(1, scale=2)
    assert calls == ["commit", "revoke", "recover", "commit"]
    world.set_communicator(Elastic(calls, [False, True]))
    numbers = iter([10, 30])
    assert draw(1, scale=2) == 61


class Reduction:
    """A step's reduction that records its calls."""

    def __init__(self, calls, error=None):
        self.calls, self.error = calls, error

    def reduce_step(self, step):
        self.calls.append("reduce")
        if self.error is not None:
            raise self.error

    def commit_step(self, step):
        self.calls.append("keep")

    def rollback_step(self, step):
        self.calls.append("roll back")


@pytest.mark.parametrize(
    ("commits", "error", "ended", "expected"),
    [
        ([True], None, True, ["reduce", "commit", "keep"]),
        ([False], None, False, ["reduce", "commit", "roll back"]),
        ([], RankFailedError("1"), False, ["reduce", "revoke", "roll back", "recover"]),
    ],
)
def test_a_step_keeps_its_means_only_if_all_ranks_have_them(
    calls, monkeypatch, commits, error, ended, expected
):
    monkeypatch.setattr(run_context(), "communicator", Elastic(calls, commits))
    monkeypatch.setattr(run_context(), "step_reductions", [])
    reduction = Reduction(calls, error)
    steps.register_step_reduction(reduction)
    assert steps.end_step(steps.Step(0, (1,), False, True)) is ended
    assert calls == expected


def test_a_step_that_ends_with_its_backward_pass_cannot_run_again(calls, monkeypatch):
    monkeypatch.setattr(run_context(), "step_reductions", [])
    reduction = Reduction(calls)
    steps.register_step_reduction(reduction)
    assert steps.end_step(steps.Step(0, (1,), True, True)) is True
    assert calls == ["reduce", "keep"]
    reduction.error = RankFailedError("1")
    with pytest.raises(RankFailedError):
        steps.end_step(steps.Step(1, (1,), True, True))
