"""The watchdogs' messages: who asks whom, who is named, and when they keep out of MPI.

Ranks are objects that exchange messages in memory, on a clock that the test sets.
"""

import re
import threading
import types
from collections import deque

import pytest

mpi4py = pytest.importorskip("mpi4py")

from dtrain.checkpoint import saving  # noqa: E402
from dtrain.distributed.context import process  # noqa: E402
from dtrain.distributed.watchdog import activity as activities, monitor  # noqa: E402
from dtrain.distributed.watchdog.collective_log import CollectiveCall, CollectiveLog  # noqa: E402
from dtrain.distributed.watchdog.diagnosis import PendingCall, RankState, StallDiagnosis  # noqa: E402
from dtrain.distributed.watchdog.monitor import Watchdog, _Channel  # noqa: E402
from dtrain.errors import DesyncError  # noqa: E402

from .processes import finished  # noqa: E402


class Comm:
    """A communicator of ranks that share `inboxes`."""

    def __init__(self, rank, inboxes):
        self.rank, self.size, self.inboxes, self.sent = rank, len(inboxes), inboxes, 0

    def improbe(self):
        inbox = self.inboxes[self.rank]
        return types.SimpleNamespace(recv=inbox.popleft) if inbox else None

    def isend(self, message, to):
        self.sent += 1
        self.inboxes[to].append(message)
        return types.SimpleNamespace(Test=lambda: True)


class Ranks:
    """Ranks whose watchdogs tick in turn, each with the state that the test gives it."""

    def __init__(self, size, elastic=False, warning_s=5.0):
        inboxes = [deque() for _ in range(size)]
        self.states = [computes() for _ in range(size)]
        self.channels = [
            _Channel(
                Comm(rank, inboxes),
                StallDiagnosis([f"host{r}" for r in range(size)], warning_s, 60.0, elastic),
            )
            for rank in range(size)
        ]
        self.now, self.frozen = 100.0, set()

    def run(self, seconds):
        """The (rank, line) that were told meanwhile."""
        told = []
        for _ in range(int(4 * seconds)):
            self.now += 0.25
            for rank, channel in enumerate(self.channels):
                if rank not in self.frozen:
                    told += [
                        (rank, t) for t in channel.tick(lambda _, r=rank: self.states[r], self.now)
                    ]
        return told

    def sent(self):
        return [channel.comm.sent for channel in self.channels]


def waits(seconds, number=4, name="barrier"):
    return RankState((CollectiveCall(number, name, seconds),), "train.py:9")


def computes(number=3):
    return RankState((CollectiveCall(number),), "data.py:17 in load()")


def test_ranks_that_wait_for_a_short_time_send_nothing():
    ranks = Ranks(3)
    ranks.states[1] = waits(1.0)
    assert ranks.run(5) == []
    assert ranks.sent() == [0, 0, 0]


def test_the_lowest_rank_names_the_late_one_once_and_tells_the_end_once():
    ranks = Ranks(3)
    ranks.states[1] = ranks.states[0] = waits(6.0)
    ((rank, line),) = ranks.run(5)
    assert rank == 0
    assert line.startswith(
        "ranks 0, 1 have waited 6 s in barrier (train.py:9) for rank 2 on host host2, "
    )
    ranks.states = [computes(4)] * 3
    ((rank, line),) = ranks.run(5)
    assert (rank, line.startswith("the ranks go on: they had waited")) == (0, True)
    before = ranks.sent()
    assert ranks.run(5) == []
    assert ranks.sent() == before


def test_a_rank_that_waits_alone_has_the_lowest_one_ask():
    ranks = Ranks(3)
    ranks.states[2] = waits(6.0)
    ((rank, line),) = ranks.run(3)
    assert rank == 0
    assert "rank 2 has waited" in line


def test_where_the_lowest_rank_does_not_answer_the_next_one_names_it():
    ranks = Ranks(3)
    ranks.frozen = {0}
    ranks.states[1] = ranks.states[2] = waits(6.0)
    assert ranks.run(2) == []
    ((rank, line),) = ranks.run(12)
    assert rank == 1
    assert "for rank 0 on host host0, which does not answer" in line


def test_a_rank_that_was_held_up_does_not_tell_again_what_another_one_told():
    ranks = Ranks(3)
    ranks.frozen = {0}
    ranks.states[1] = ranks.states[2] = waits(6.0)
    assert len(ranks.run(12)) == 1
    ranks.frozen = set()
    assert ranks.run(4) == []
    assert ranks.channels[1]._coordinates_until == 0.0  # the lower rank asks from now on
    ranks.states = [computes(4)] * 3
    assert [rank for rank, _ in ranks.run(4)] == [1]


@pytest.fixture
def messages(monkeypatch):
    """The (sender, receiver, content) of all messages."""
    sent, isend = [], Comm.isend

    def note(self, message, to):
        sent.append((self.rank, to, message[1]))
        return isend(self, message, to)

    monkeypatch.setattr(Comm, "isend", note)
    return sent


def test_one_rank_alone_asks_for_states_once_a_second_as_long_as_it_answers(messages):
    ranks = Ranks(3)
    ranks.states[1] = ranks.states[2] = waits(2.0)
    ranks.run(20)
    asked = [(sender, to) for sender, to, what in messages if what == monitor._STATE_REQUEST]
    assert (set(asked), len(asked)) == ({(0, 1), (0, 2)}, 2 * 20)
    told = [(sender, to) for sender, to, what in messages if what == monitor._STALL_NOTICE]
    assert (set(told), len(told)) == ({(1, 0), (2, 0)}, 2 * 20)


def test_each_wait_begins_with_the_lowest_rank_and_with_fresh_answers(messages):
    ranks = Ranks(3)
    ranks.states[1] = waits(2.0)
    ranks.run(2)
    ranks.states[1] = computes(4)
    ranks.run(20)
    messages.clear()
    ranks.states[1] = waits(6.0, number=5)
    ((rank, line),) = ranks.run(2)
    assert rank == 0
    late = "for ranks 0, 2 on hosts host0, host2, which is at data.py:17 in load()"
    assert line.endswith(late)
    assert {to for _, to, what in messages if what == monitor._STALL_NOTICE} == {0}


def test_a_rank_that_has_answered_once_and_froze_later_does_not_answer():
    ranks = Ranks(3)
    ranks.states[0] = waits(2.0)
    assert ranks.run(2) == []
    ranks.frozen = {2}
    assert ranks.run(3) == []
    ranks.states[0] = waits(6.0)
    ((_, line),) = ranks.run(1)
    assert "rank 2 on host host2, which does not answer" in line


def test_a_rank_is_told_what_another_one_has_announced():
    ranks = Ranks(2)
    told = frozenset({PendingCall(0, 4)})
    ranks.channels[1]._send(0, told)
    ranks.run(0.25)
    assert ranks.channels[0].diagnosis.announced == told


def test_different_calls_are_refused_by_the_rank_that_asks():
    ranks = Ranks(2)
    ranks.states = [waits(2.0), waits(2.0, name="allgather")]
    with pytest.raises(DesyncError, match=r"rank 0 on host host0 in barrier.*rank 1 .* allgather"):
        ranks.run(5)


def test_an_elastic_rank_that_exited_is_asked_nothing():
    ranks = Ranks(3, elastic=True)
    ranks.channels[0].send_exit_notice(computes()._replace(has_exited=True))
    ranks.frozen = {0}
    ranks.run(1)
    inbox = ranks.channels[0].comm.inboxes[0]
    ranks.states = [computes(), waits(6.0), computes()]
    ranks.run(0.25)
    assert ranks.channels[1]._coordinator == 1
    assert list(inbox) == []


@pytest.fixture
def in_mpi(monkeypatch):
    fake = types.SimpleNamespace(Exception=ConnectionError, Is_finalized=lambda: False)
    monkeypatch.setattr(mpi4py, "MPI", fake, raising=False)
    monkeypatch.setattr(monitor, "allgather_objects", lambda comm, value, _: [value] * comm.size)
    monkeypatch.setattr(monitor, "_TICK_S", 0.001)
    monkeypatch.setattr(monitor.atexit, "register", lambda _: None)


class SlowComm(Comm):
    """A communicator whose probe lasts until it is revoked, or for a while."""

    def __init__(self, error=None):
        super().__init__(0, [deque(), deque()])
        self.inside, self.error = False, error
        self.entered, self.revoked, self.revoked_inside = threading.Event(), threading.Event(), None

    def improbe(self):
        self.inside = True
        self.entered.set()
        if self.error is not None:
            raise self.error
        self.revoked.wait(0.2)
        self.inside = False

    def Revoke(self):
        self.revoked_inside = self.inside
        self.revoked.set()


@pytest.fixture
def watchdog(in_mpi):
    watchdog = Watchdog(CollectiveLog(), elastic=True)
    yield watchdog
    watchdog._stop.set()
    watchdog._thread.join()


def test_a_recovery_waits_until_the_watchdog_has_left_mpi_and_keeps_it_out(watchdog):
    comm, new = SlowComm(), SlowComm()
    watchdog.join(comm)
    comm.entered.wait()
    watchdog.revoke()
    assert comm.revoked_inside is False
    comm.entered.clear()
    assert not comm.entered.wait(0.05)  # 50 ticks
    watchdog.join(new)
    assert new.entered.wait(10)


def test_a_watchdog_that_meets_a_failed_rank_keeps_out_of_mpi_until_the_recovery(watchdog):
    comm, new = SlowComm(ConnectionError("code 75")), SlowComm()
    watchdog.join(comm)
    comm.entered.wait()
    while not watchdog._is_paused:
        pass
    watchdog.revoke()
    assert comm.revoked.is_set()
    watchdog.join(new)
    assert new.entered.wait(10)


def test_a_watchdog_that_met_a_failed_rank_does_not_say_that_its_wait_is_over(watchdog, capsys):
    watchdog.join(SlowComm())
    watchdog._stop.set()
    watchdog._thread.join()
    capsys.readouterr()
    watchdog._channel.diagnosis.report_resolved = lambda *_: ["resolved"]
    for is_paused, said in ((True, ""), (False, "dtrain: resolved\n")):
        watchdog._is_paused = is_paused
        watchdog._run()
        assert capsys.readouterr().err == said


def test_a_rank_tells_what_it_is_busy_with(monkeypatch):
    watchdog, clock = Watchdog(CollectiveLog(), elastic=False), iter([10.0, 22.4])
    monkeypatch.setattr(activities, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    assert watchdog._state().activity == ""
    busy = activities.activity("writing checkpoint runs/a")
    busy.__enter__()
    assert watchdog._state().activity == "has been writing checkpoint runs/a for 12 s"
    with pytest.raises(OSError, match="full"):
        busy.gen.throw(OSError("full"))
    assert watchdog._state().activity == ""


def test_writing_a_checkpoint_is_an_activity(monkeypatch, tmp_path):
    told = []
    monkeypatch.setattr(saving, "write_checkpoint", lambda *_: told.append(process.activity[0]))
    saving.save_checkpoint(tmp_path, 3)
    assert told == [f"writing checkpoint {tmp_path}/step-00000003"]
    assert process.activity is None


def test_work_of_two_threads_leaves_no_activity_behind():
    first, second = activities.activity("writing a"), activities.activity("writing b")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert process.activity[0] == "writing b"
    second.__exit__(None, None, None)
    assert process.activity is None


_CALL_SITES_AMONG_GARBAGE = """
import gc, threading, time
from dtrain.distributed.watchdog.call_site import thread_call_site

class Slow:
    def __del__(self):
        time.sleep(0.002)  # other threads run
        make_garbage()

def make_garbage():
    cycle = Slow()
    cycle.itself = cycle

def start_threads():
    while not is_over.is_set():
        started = threading.Thread(target=int)
        started.start()
        started.join()

is_over = threading.Event()
thread = threading.Thread(target=start_threads, daemon=True)
thread.start()
make_garbage()
gc.set_threshold(1)
sites = {thread_call_site(thread.ident) for _ in range(20)}
gc.disable()
is_over.set()
print(*sites, sep="\\n")
"""


def test_a_thread_is_asked_for_its_line_while_others_end_and_garbage_is_collected(
    run_python, tmp_path
):
    """With `sys._current_frames`, Python 3.10 and 3.11 hang here."""
    program = tmp_path / "prögram.py"
    program.write_text(_CALL_SITES_AMONG_GARBAGE, encoding="utf-8")
    process = run_python(program.name, timeout_s=60)
    sites = finished(process).splitlines()
    assert sites
    for site in sites:
        assert re.fullmatch(r"prögram\.py:\d+ in \w+\(\)", site)
