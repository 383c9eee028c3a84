"""Which rank blocks the others, diagnosed from the states that ranks report."""

import pytest

from dtrain.distributed.watchdog.collective_log import CollectiveCall, PendingMessage
from dtrain.distributed.watchdog.diagnosis import RankState, StallDiagnosis
from dtrain.errors import DesyncError, RankFailedError


def diagnosis(*hosts, **options):
    options = {"warning_s": 5, "timeout_s": 60, **options}
    return StallDiagnosis(hosts or ("a", "a", "b"), **options)


def waits(seconds, number=4, name="barrier"):
    return RankState((CollectiveCall(number, name, seconds),), "train.py:9")


def computes(number=3):
    return RankState((CollectiveCall(number),), "data.py:17 in load()")


def lines(diagnosis, *states, now=100.0):
    """The messages; None is a rank that does not answer."""
    answers = {rank: state for rank, state in enumerate(states) if state}
    silent = [rank for rank, state in enumerate(states) if not state]
    return list(diagnosis.check(answers, silent, now))


def test_a_short_wait_is_not_reported():
    assert lines(diagnosis(), waits(4.9), computes(), waits(4)) == []


def test_nothing_is_reported_before_all_have_answered_or_are_silent():
    assert list(diagnosis().check({0: waits(9)}, [1], 100.0)) == []


def test_each_stall_is_reported_once_and_so_is_its_end():
    it = diagnosis()
    (text,) = lines(it, waits(6), computes(), waits(5))
    assert text == (
        "ranks 0, 2 have waited 6 s in barrier (train.py:9) for rank 1 on host a, "
        "which is at data.py:17 in load()"
    )
    assert lines(it, waits(7), computes(), waits(6), now=101.0) == []
    assert lines(it, computes(4), computes(4), computes(4), now=103.0) == [
        "the ranks go on: they had waited 9 s for rank 1"
    ]
    assert not it.reported


def test_a_rank_that_writes_a_checkpoint_is_named_with_that():
    writes = computes()._replace(activity="has been writing checkpoint runs/a for 12 s")
    (text,) = lines(diagnosis(), writes, waits(12), waits(12))
    assert text == (
        "ranks 1, 2 have waited 12 s in barrier (train.py:9) for rank 0 on host a, "
        "which has been writing checkpoint runs/a for 12 s"
    )


def test_a_stall_that_another_rank_reported_is_not_reported_again_nor_is_its_end():
    first, second = diagnosis(), diagnosis()
    assert len(lines(first, waits(6), None, waits(5))) == 1
    told = waits(5)._replace(announced=frozenset(first.announced))
    assert lines(second, waits(7), computes(), told, now=101.0) == []
    assert lines(second, computes(4), computes(4), computes(4), now=103.0) == []
    assert len(lines(first, computes(4), computes(4), computes(4), now=103.0)) == 1
    (text,) = lines(second, waits(6, number=5), computes(4), waits(5, number=5), now=110.0)
    assert "for rank 1" in text


def test_late_ranks_are_grouped_by_what_they_do():
    (text,) = lines(diagnosis("a", "b", "a", "b"), waits(6), computes(), None, computes())
    assert text == (
        "rank 0 has waited 6 s in barrier (train.py:9) for rank 2 on host a, which does not "
        "answer: stopped, swapped out, held up in C code, or its host is gone; and for "
        "ranks 1, 3 on host b, which is at data.py:17 in load()"
    )


def test_when_no_rank_is_late_the_messages_are_stuck():
    (text,) = lines(diagnosis(), waits(6), waits(6), waits(6))
    assert text.endswith(": all ranks are there, but no message has come through for 6 s")


def receiving(seconds, *megabytes):
    """States of ranks in one call that has received so much."""
    return [
        RankState((CollectiveCall(4, "barrier", seconds, received_bytes=m * 10**6),), "train.py:9")
        for m in megabytes
    ]


def test_a_slow_transfer_is_no_stall_until_its_messages_stop():
    it = diagnosis()
    for second in range(6, 90, 4):  # beyond the time limit of 60 s
        assert lines(it, *receiving(second, 0, second, 0), now=100.0 + second) == []
    assert lines(it, *receiving(90, 0, 86, 0), now=190.0) == []
    (text,) = lines(it, *receiving(92, 0, 86, 0), now=192.0)
    assert text == (
        "ranks 0, 1, 2 have waited 92 s in barrier (train.py:9): all ranks are there, but no "
        "message has come through for 6 s; 86 MB came before"
    )
    assert lines(it, *receiving(94, 0, 86, 0), now=194.0) == []
    with pytest.raises(RankFailedError, match=r"for 60 s; 86 MB .* \(--stall-timeout 60\)"):
        lines(it, *receiving(146, 0, 86, 0), now=246.0)


def test_the_messages_of_an_earlier_call_are_no_progress_of_the_next():
    it = diagnosis()
    assert lines(it, *receiving(6, 9, 9, 9), now=100.0) == []
    (text,) = lines(it, *[waits(6, number=5)] * 3, now=106.0)
    assert text.endswith("no message has come through for 6 s")


def test_calls_of_the_same_sequence_number_have_one_name():
    broadcast = "broadcast from rank 0"
    with pytest.raises(DesyncError, match=r"ranks 0, 2 on hosts a, b in barrier .*; rank 1 on h"):
        lines(diagnosis(), waits(2), waits(2, name=broadcast), waits(1))
    assert lines(diagnosis(), waits(2), waits(2, number=5, name=broadcast), waits(1)) == []


def test_a_rank_that_exited_after_the_call_does_not_block_it():
    exited = computes(4)._replace(has_exited=True)
    assert lines(diagnosis(), waits(2), exited, waits(2)) == []
    with pytest.raises(RankFailedError, match="rank 1 on host a came to the end of the program"):
        lines(diagnosis(), waits(2), exited._replace(calls=(CollectiveCall(3),)), waits(2))


def test_a_communicator_that_a_rank_does_not_have_yet_has_had_no_call():
    calls = CollectiveCall(7), CollectiveCall(1, "all_reduce of 5 x float32", 6.0)
    two = RankState(calls, "train.py:9")
    (text,) = lines(diagnosis(), two, computes(7), two)
    assert "in all_reduce of 5 x float32 (train.py:9) for rank 1" in text


def test_a_timeout_ends_the_job_but_mpi_decides_about_a_silent_elastic_rank():
    with pytest.raises(RankFailedError, match=r"waited 60 s .* \(--stall-timeout 60\)"):
        lines(diagnosis(), waits(60), computes(), waits(60))
    with pytest.raises(RankFailedError, match="does not answer"):
        lines(diagnosis(), waits(60), None, waits(60))
    (text,) = lines(diagnosis(elastic=True), waits(60), None, waits(60))
    assert "does not answer" in text


def test_0_is_never():
    never = diagnosis(warning_s=0, timeout_s=0)
    assert lines(never, waits(1e9), computes(), waits(1e9)) == []


def receives(seconds, peer, number=1):
    name = f"recv from {'any rank' if peer is None else f'rank {peer}'}"
    return computes()._replace(message=PendingMessage(number, name, peer, seconds))


def test_a_rank_that_waits_for_a_message_is_named_once_with_what_the_other_does():
    it = diagnosis()
    states = receives(6, 2), computes(), waits(6)._replace(call_site="eval.py:3")
    texts = lines(it, *states)
    assert (
        "rank 0 has waited 6 s in recv from rank 2 (data.py:17 in load()), which is at eval.py:3, "
        "in barrier"
    ) in texts
    assert not [text for text in lines(it, *states, now=101.0) if "recv" in text]
    assert "the ranks go on: they had waited 8 s for rank 2" in lines(
        it, receives(0, 2, number=2), computes(), computes(), now=102.0
    )
    with pytest.raises(RankFailedError, match=r"rank 0 has waited 60 s in recv.*--stall-timeout"):
        lines(diagnosis(), receives(60, 1), computes(), computes())
    assert lines(diagnosis(warning_s=0, timeout_s=0), receives(99, 1), computes(), computes()) == []


def test_a_message_from_an_exited_rank_ends_the_job():
    exited = computes()._replace(has_exited=True)
    with pytest.raises(RankFailedError, match="rank 1 on host a came to the end of the program, "):
        lines(diagnosis(), receives(2, 1), exited, computes())
    assert lines(diagnosis(), receives(2, 2), exited, computes()) == []
    assert lines(diagnosis(), receives(2, None), exited, computes()) == []
    with pytest.raises(RankFailedError, match="ranks 1, 2 on hosts a, b came to the end"):
        lines(diagnosis(), receives(2, None), exited, exited)


def test_a_rank_that_is_not_in_the_group_does_not_block_it():
    def grouped(seconds):
        call = CollectiveCall(1, "barrier", seconds, frozenset({0, 2}))
        return RankState((CollectiveCall(3), call), "train.py:9")

    other = RankState((CollectiveCall(3), CollectiveCall(0)), "load.py:1", has_exited=True)
    late = RankState((CollectiveCall(3), CollectiveCall(0)), "slow.py:1")
    (text,) = lines(diagnosis(), grouped(6), other, late)
    assert (
        text
        == "rank 0 has waited 6 s in barrier (train.py:9) for rank 2 on host b, which is at slow.py:1"
    )
    assert lines(diagnosis(), grouped(2), other, grouped(2)) == []
    with pytest.raises(RankFailedError, match="rank 2 on host b came to the end"):
        lines(diagnosis(), grouped(2), other, late._replace(has_exited=True))
