"""The start and the end of ranks: what each tells `dtrain run`, and what that makes of it."""

import ctypes
import os
import random
import re
import signal
import subprocess
import sys
import types

import pytest

from dtrain.distributed import context, launcher_variables, world
from dtrain.distributed.comm import mpi
from dtrain.distributed.launch import scratch, start_monitor
from dtrain.distributed.launch.notices import (
    RAISED,
    NoticeFilter,
    RankError,
    describe_errors,
    write_error_notice,
    write_exit_notice,
    write_start_notice,
)
from dtrain.distributed.launch.start_monitor import NOTICE_BEGIN, NOTICE_END

from .conftest import launcher

pytestmark = pytest.mark.slow

ON = r"on host \S+"


# --- notices --------------------------------------------------------------------------------------


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_notices_are_taken_out_of_a_stream_in_any_pieces(pipe):
    reader, writer = pipe
    error = RankError(2, "here", "KeyError: 'é'\n", "Traceback\nKeyError: 'é'")
    os.write(writer, b"a")
    write_start_notice(writer, "joining", 12)
    write_start_notice(writer, "joined", 12)
    os.write(writer, NOTICE_BEGIN + b"lost=3" + NOTICE_END)
    os.write(writer, b"b")
    write_error_notice(writer, error)
    write_exit_notice(writer, RAISED)
    os.write(writer, b"\x1b]dtrain;other=1\x07\x1b]dtr")
    data = os.read(reader, 1 << 16)
    for size in (1, 7, len(data)):
        stream = NoticeFilter()
        pieces = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
        assert b"".join(pieces) + stream.flush() == b"ab\x1b]dtrain;other=1\x07\x1b]dtr"
        assert (stream.joining, stream.joined, stream.lost) == ({12}, {12}, {3})
        assert (stream.statuses, stream.errors) == ({RAISED}, [error])


@pytest.mark.parametrize("own", [b"other=1", b"lost=all", b"all"])
def test_a_sequence_that_is_no_notice_is_the_programs_own(own):
    stream, data = NoticeFilter(), b"\x1b]dtrain;" + own + b"\x07\n"
    assert stream.feed(data) == data
    assert not stream.lost | stream.statuses


def test_a_long_error_loses_its_middle(pipe):
    reader, writer = pipe
    text = "".join(f"{os.urandom(20).hex()}\n" for _ in range(1000))
    write_error_notice(writer, RankError(0, "here", text, f"first\n{text}last"))
    data = os.read(reader, 1 << 16)
    assert len(data) < 4096  # one piece of the launcher's
    stream = NoticeFilter()
    assert stream.feed(data) == b""
    assert re.fullmatch(r"(?s)first\n.*\n  \.\.\.\n.*last", stream.errors[0].text)


@pytest.mark.parametrize("last", [b"+", b"/", b"="])
def test_an_error_notice_may_end_with_any_character_of_base64(pipe, last):
    reader, writer = pipe
    stream, data = NoticeFilter(), b""
    for number in range(1000):
        text = random.Random(number).randbytes(number % 9).hex()
        write_error_notice(writer, RankError(0, "here", "message", text))
        data = os.read(reader, 1 << 16)
        if data.endswith(last + b"\x07\n"):
            break
    assert data.endswith(last + b"\x07\n")
    assert stream.feed(data) == b""
    assert stream.errors[0].text == text


def test_ranks_that_end_before_others_come_are_no_failed_start():
    stream = NoticeFilter()
    stream.feed(b"\x1b]dtrain;lost=1\x07\n")
    assert stream.failed_starts == set()
    stream.feed(b"\x1b]dtrain;joining=0\x07\n")
    assert stream.failed_starts == {1}


def test_errors_of_several_ranks_are_told_once():
    errors = [RankError(rank, "ab"[rank // 3], "E: 1", f"text {rank}") for rank in (4, 1, 2, 3, 0)]
    errors.insert(1, RankError(6, "c", "E: 2", "text 6"))
    assert describe_errors(errors) == [
        "ranks 0–4 on hosts a, b raised, here rank 0:\ntext 0",
        "rank 6 on host c raised:\ntext 6",
    ]


# --- the monitor ----------------------------------------------------------------------------------


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux alone has pidfd_open")


def watch(pid, reader, monkeypatch):
    """What the monitor of a process writes, once it has ended."""
    monkeypatch.setattr(start_monitor, "_TICK_S", 0.01)
    monkeypatch.setattr(start_monitor, "_STOPPED_LIMIT_S", 0.05)
    process, (notices, terminal) = os.pidfd_open(pid), os.pipe()
    start_monitor._watch(5, pid, process, reader, terminal)
    os.close(process)
    os.close(terminal)
    with open(notices, "rb") as file:
        return file.read()


@linux
def test_a_rank_that_has_joined_is_watched_no_more(child, pipe, monkeypatch):
    os.write(pipe[1], b"x")
    assert watch(child.pid, pipe[0], monkeypatch) == b""


@linux
def test_a_rank_that_ends_is_reported(child, pipe, monkeypatch):
    child.kill()
    assert watch(child.pid, pipe[0], monkeypatch) == b"\x1b]dtrain;lost=5\x07\n"


@linux
def test_a_rank_that_stays_stopped_is_ended(child, pipe, monkeypatch, capfd):
    child.send_signal(signal.SIGSTOP)
    assert watch(child.pid, pipe[0], monkeypatch) == b"\x1b]dtrain;lost=5\x07\n"
    assert child.wait() == -signal.SIGKILL
    assert "rank 5 was stopped (SIGSTOP) for" in capfd.readouterr().err


def test_the_monitor_finds_its_rank_where_the_rank_does():
    assert start_monitor.RANK_VARIABLES == launcher_variables._RANK


WAITS_FOR_CHILDREN = """
import os, select
from dtrain.distributed.launch.start_monitor import start_monitor
reader, writer = os.pipe()
end = start_monitor(3, writer)
try:
    print("a child:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child")
end()
print("notices:", select.select([reader], [], [], 0)[0])
"""


@linux
def test_the_monitor_is_no_child_of_the_rank(run_python):
    done = run_python("-c", WAITS_FOR_CHILDREN)
    assert (done.stdout, done.stderr) == ("no child\nnotices: []\n", "")


# --- jobs -----------------------------------------------------------------------------------------

ENDS = """
import os, signal, sys
if os.environ.get("OMPI_COMM_WORLD_RANK") == "1" and os.environ["DTRAIN_RESTART_COUNT"] == "0":
    {how}
"""
JOINS = "from dtrain import distributed as d\nd.barrier()\n"
#: a module of the folder that dtrain imports first: it takes its own place
THEN_NUMPY = "del sys.path[0], sys.modules['numpy']\nimport numpy\n"


@pytest.mark.skipif(
    getattr(launcher(), "kind", None) != "openmpi", reason="others end the job themselves"
)
@pytest.mark.parametrize(
    ("place", "how"), [("numpy", "os.kill(os.getpid(), signal.SIGKILL)"), ("early", "sys.exit(0)")]
)
def test_a_rank_that_ends_before_it_joins_does_not_keep_the_others(start, tmp_path, place, how):
    ends = ENDS.format(how=how)
    (tmp_path / "early.py").write_text(JOINS if place == "numpy" else ends + JOINS)
    if place == "numpy":
        (tmp_path / "numpy.py").write_text(ends + THEN_NUMPY)
    status, _, err = start("-n", 3, "--elastic", "--max-restarts", 1, "early.py").end()
    assert status == 0, err
    said = [line for line in err.splitlines() if line.startswith("dtrain run")]
    assert said == [
        "dtrain run: rank 1 ended before joining the other ranks, which waited in MPI_Init",
        "dtrain run: the job failed with status 1",
        "dtrain run: restart 1 of 1",
    ]


def test_an_error_of_all_ranks_is_told_once_and_last(start, tmp_path):
    (tmp_path / "raises.py").write_text(
        "from dtrain import distributed as d\nd.barrier()\nraise ValueError('no data')\n"
    )
    status, _, err = start("-n", 3, "raises.py").end()
    assert status not in (0, 75)
    assert err.count("Traceback") == 1
    assert re.search(
        rf"dtrain: (ranks 0–[12]|ranks? \d.*) {ON} raised.*:\nTraceback \(most recent call last\):\n"
        r'  File "raises.py", line 3, in <module>\n.*\n(.*\n)?ValueError: no data\n$',
        err,
    ), err


def test_an_error_before_ranks_join_is_told_with_the_rank_and_without_the_launcher(start, tmp_path):
    (tmp_path / "raises.py").write_text("raise KeyError('early')\n")
    status, _, err = start("-n", 1, "raises.py").end()
    assert status == 1
    assert re.search(rf"dtrain: rank 0 {ON} raised:\nTraceback", err), err
    assert not re.search("runpy|launch|frozen", err), err


def test_breakpoint_says_how_to_debug(start, tmp_path):
    (tmp_path / "stops.py").write_text("x = 1\nbreakpoint()\n")
    status, _, err = start("-n", 1, "stops.py").end()
    assert status == 1
    assert "LaunchError: breakpoint() at stops.py:2: a rank of `dtrain run` has no" in err
    assert "`dtrain debug -n N SCRIPT`" in err


# --- what joining and launching leave behind ------------------------------------------------------


class TakesSignal:
    """An MPI whose library takes SIGUSR1 for itself when it is loaded, as MPICH does."""

    @property
    def MPI(self):
        ctypes.CDLL(None).signal(signal.SIGUSR1, ctypes.c_void_p(1))  # SIG_IGN
        return types.SimpleNamespace(COMM_WORLD=types.SimpleNamespace(size=1, rank=0))


def test_a_signal_that_mpi_took_reaches_the_program_again(monkeypatch):
    received, reported = [], []
    monkeypatch.setitem(sys.modules, "mpi4py", TakesSignal())
    monkeypatch.setattr(mpi, "MpiCommunicator", lambda comm, elastic: comm)
    monkeypatch.setattr(context.process, "report_start", reported.append)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "1")
    monkeypatch.setenv("DTRAIN_RANK_PROCESS", "")
    before = signal.signal(signal.SIGUSR1, lambda *_: received.append(1))
    try:
        assert world._launched_communicator().size == 1
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (received, reported) == ([1], ["joining", "joined"])


def test_a_folder_that_another_job_uses_costs_no_descriptor(monkeypatch, tmp_path):
    monkeypatch.setattr(scratch, "_SHARED_MEMORY", tmp_path)
    used, left = tmp_path / "dtrain-launch-1-a", tmp_path / "dtrain-launch-2-b"
    used.mkdir()
    left.mkdir()
    lock = scratch._try_lock(used)
    before = set(os.listdir("/proc/self/fd"))
    scratch._remove_abandoned()
    assert set(os.listdir("/proc/self/fd")) == before
    assert (used.exists(), left.exists()) == (True, False)
    os.close(lock)
