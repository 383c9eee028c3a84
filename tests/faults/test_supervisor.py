"""Whoever is killed, nobody is left behind, and nothing is taken for a success that is none."""

import os
import signal
import subprocess
import sys
import types

import pytest

from dtrain.distributed.launch import attempt
from dtrain.distributed.launch.notices import RAISED

from .conftest import LIMIT_S, children, environment

pytestmark = pytest.mark.slow

WAITS = """
import os, time
from dtrain import distributed
open(f"rank{distributed.rank()}.pid", "w").write(str(os.getpid()))
distributed.barrier()
time.sleep(600)
"""


@pytest.fixture
def waiting(start, tmp_path):
    """A job of three ranks that wait."""
    (tmp_path / "waits.py").write_text(WAITS)
    run = start("-n", 3, "waits.py")
    run.ranks(3)
    return run


def test_ranks_do_not_outlive_dtrain_run(waiting):
    waiting.process.kill()
    waiting.process.wait()
    waiting.nothing_is_left()


def test_the_next_run_removes_the_folder_of_one_that_was_killed(waiting, start, tmp_path):
    waiting.process.kill()
    waiting.process.wait()
    waiting.nothing_is_left()
    (tmp_path / "ends.py").touch()
    run = start("-n", 1, "ends.py")
    assert run.end()[0] == 0
    assert waiting.scratch_folders() == run.scratch_folders() == []


def test_ranks_do_not_outlive_mpirun(waiting):
    (mpirun,) = children(waiting.process.pid)
    os.kill(mpirun, signal.SIGKILL)
    status, _, err = waiting.end()
    assert status == 137
    assert "dtrain run: the job failed with status 137 (SIGKILL)" in err
    waiting.nothing_is_left()


def test_ranks_that_leave_without_an_end_are_no_success(start, tmp_path):
    """As when one of Open MPI's daemons is killed, the launcher's status is 0."""
    (tmp_path / "leaves.py").write_text("import os; os._exit(0)")
    status, _, err = start("-n", 2, "leaves.py").end()
    assert status == 1
    assert "status 0, but no rank came to the end of the program" in err


def test_what_ranks_write_passes_unchanged(start, tmp_path):
    (tmp_path / "writes.py").write_text(
        "import os, sys\nos.write(2, b'\\x1b[1mbold\\x1b]dtrain;x\\x07\\x1b]dtr')\nos.close(2)\n"
    )
    status, out, err = start("-n", 1, "writes.py").end()
    assert (status, out, err) == (0, "", "\x1b[1mbold\x1b]dtrain;x\x07\x1b]dtr")


def test_a_long_stderr_is_copied_whole(start, tmp_path):
    (tmp_path / "writes.py").write_text(
        "import sys\nfor i in range(20000): sys.stderr.write(f'line {i}\\n')\n"
    )
    status, _, err = start("-n", 1, "writes.py").end()
    assert (status, err) == (0, "".join(f"line {i}\n" for i in range(20000)))


def test_what_is_typed_in_a_terminal_reaches_rank_0(start, tmp_path):
    (tmp_path / "reads.py").write_text(
        "from dtrain import distributed as d\nif d.rank() == 0: print('read', input())\n"
    )
    in_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    dtrain_run = [sys.executable, "-m", "dtrain.cli", "run", "-n", "2", "reads.py"]
    process = subprocess.run(
        [sys.executable, "-c", in_terminal, *dtrain_run], input="typed\n", text=True,
        capture_output=True, timeout=LIMIT_S, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert (process.returncode, "read typed" in process.stdout) == (0, True), process.stdout


LOCKED = """
import signal, time
from dtrain.distributed.launch.notices import RAISED, write_exit_notice
signal.signal(signal.SIGTERM, signal.SIG_IGN)
write_exit_notice(2, RAISED)
time.sleep(600)
"""


def test_a_launcher_that_locks_itself_up_after_a_failure_is_ended(monkeypatch, capfd):
    monkeypatch.setattr(attempt, "_FAIL_LIMIT_S", 0.1)
    monkeypatch.setattr(attempt, "_END_LIMIT_S", 0.1)
    with attempt.SignalReceiver() as signals:
        ended = attempt.run_attempt([sys.executable, "-c", LOCKED], environment(), signals, 60)
    assert ended == attempt.AttemptResult(1, frozenset({RAISED}))
    assert (
        "a rank raised an exception, and the launcher does not end: ending it"
        in capfd.readouterr().err
    )


def test_each_signal_has_its_time_before_the_next(monkeypatch, capsys):
    sent, now = [], [100.0]
    monkeypatch.setattr(attempt, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(attempt, "_END_LIMIT_S", 7.0)
    process = types.SimpleNamespace(
        stderr=types.SimpleNamespace(fileno=lambda: -1), send_signal=sent.append
    )
    running = attempt._Attempt(process, None, grace_s=30.0, linger_s=None, watcher=None)
    assert running._time_left() is None
    for reason, number, limit_s in (
        ("SIGTERM", signal.SIGUSR1, 30),
        (None, signal.SIGTERM, 7),
        (None, signal.SIGKILL, 7),
    ):
        running._escalate(reason)
        assert sent[-1] == number
        assert running._time_left() == limit_s
        now[0] += limit_s
    running._escalate(None)
    assert len(sent) == 3
