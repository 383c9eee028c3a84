"""Who is to blame when ranks wait, from what each says."""

import pytest

from dtrain.distributed.watchdog.collective_log import Call
from dtrain.distributed.watchdog.diagnosis import Judge, State
from dtrain.errors import DesyncError, RankFailedError


def judge(*hosts, **options):
    return Judge(hosts or ("a", "a", "b"), **{"warning_s": 5, "timeout_s": 60, **options})


def waits(seconds, turn=4, name="barrier"):
    return State((Call(turn, name, seconds),), "train.py:9")


def computes(turn=3):
    return State((Call(turn),), "data.py:17 in load()")


def lines(judge, *states, now=100.0):
    """What it says; None is a rank that does not answer."""
    answers = {rank: state for rank, state in enumerate(states) if state}
    silent = [rank for rank, state in enumerate(states) if not state]
    return list(judge.consider(answers, silent, now))


def test_nothing_is_said_of_a_short_wait():
    assert lines(judge(), waits(4.9), computes(), waits(4)) == []


def test_nothing_is_said_before_all_have_answered_or_are_silent():
    assert list(judge().consider({0: waits(9)}, [1], 100.0)) == []


def test_each_wait_is_warned_of_once_and_its_end_is_told():
    it = judge()
    (text,) = lines(it, waits(6), computes(), waits(5))
    assert text == (
        "ranks 0, 2 have waited 6 s in barrier (train.py:9) for rank 1 on host a, "
        "which is at data.py:17 in load()"
    )
    assert lines(it, waits(7), computes(), waits(6), now=101.0) == []
    assert lines(it, computes(4), computes(4), computes(4), now=103.0) == [
        "the ranks go on: they had waited 9 s for rank 1"
    ]
    assert not it.open


def test_late_ranks_are_grouped_by_what_they_do():
    (text,) = lines(judge("a", "b", "a", "b"), waits(6), computes(), None, computes())
    assert text == (
        "rank 0 has waited 6 s in barrier (train.py:9) for rank 2 on host a, which does not "
        "answer: stopped, swapped out, held up in C code, or its host is gone; and for "
        "ranks 1, 3 on host b, which is at data.py:17 in load()"
    )


def test_when_nobody_is_late_it_is_the_messages():
    (text,) = lines(judge(), waits(6), waits(6), waits(6))
    assert text.endswith("all ranks are there, and the messages between them do not come through")


def test_calls_of_the_same_turn_have_one_name():
    with pytest.raises(DesyncError, match=r"ranks 0, 2 on hosts a, b in barrier .*; rank 1 on h"):
        lines(judge(), waits(2), waits(2, name="broadcast from rank 0"), waits(1))
    assert lines(judge(), waits(2), waits(2, turn=5, name="broadcast from rank 0"), waits(1)) == []


def test_a_rank_that_ended_after_the_call_is_not_missed_in_it():
    ended = computes(4)._replace(has_ended=True)
    assert lines(judge(), waits(2), ended, waits(2)) == []
    with pytest.raises(RankFailedError, match="rank 1 on host a came to the end of the program"):
        lines(judge(), waits(2), ended._replace(calls=(Call(3),)), waits(2))


def test_a_communicator_that_a_rank_does_not_have_yet_has_had_no_call():
    two = State((Call(7), Call(1, "all_reduce of 5 x float32", 6.0)), "train.py:9")
    (text,) = lines(judge(), two, computes(7), two)
    assert "in all_reduce of 5 x float32 (train.py:9) for rank 1" in text


def test_too_late_ends_the_job_but_a_lost_rank_is_left_to_mpi():
    with pytest.raises(RankFailedError, match=r"waited 60 s .* \(--stall-timeout 60\)"):
        lines(judge(), waits(60), computes(), waits(60))
    with pytest.raises(RankFailedError, match="does not answer"):
        lines(judge(), waits(60), None, waits(60))
    (text,) = lines(judge(elastic=True), waits(60), None, waits(60))
    assert "does not answer" in text


def test_0_is_never():
    assert lines(judge(warning_s=0, timeout_s=0), waits(1e9), computes(), waits(1e9)) == []
