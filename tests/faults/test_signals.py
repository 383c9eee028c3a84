"""A job that is asked to stop leaves a checkpoint, from which it goes on to the same bits."""

import signal

import pytest

from .conftest import DIGITS, SHORT, launcher, wait_until, weights

pytestmark = pytest.mark.slow

LONG = ("--epochs", "1000", "--out", "runs")
ASKS = "import os, time; from dtrain import distributed as d\n"
PID = "open(f'rank{d.rank()}.pid', 'w').write(str(os.getpid()))\n"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGUSR1)),
    ],
)
def test_a_signal_leads_to_a_checkpoint_and_status_75(start, tmp_path, undisturbed, number):
    run = start("-n", 2, DIGITS, *SHORT, "--checkpoint-every", 10)
    wait_until(lambda: list(tmp_path.glob("runs/step-00000010")))
    run.process.send_signal(number)
    status, out, err = run.end()
    assert (status, "weights" in out) == (75, False), err
    assert f"{number.name}: the ranks have 60 s to write a checkpoint" in err
    (checkpoint,) = [line.split()[-1] for line in out.splitlines() if "stopped" in line]
    run.nothing_is_left()

    status, out, err = start("-n", 3, DIGITS, *SHORT, "--resume", checkpoint).end()
    assert (status, weights(out)) == (0, undisturbed), err


def test_a_second_signal_ends_the_ranks_at_once(start, tmp_path):
    (tmp_path / "slow.py").write_text(f"{ASKS}d.stop_requested()\n{PID}time.sleep(600)\n")
    run = start("-n", 2, "slow.py")
    run.ranks(2)
    run.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "checkpoint" in run.process.stderr.readline())
    run.process.send_signal(signal.SIGTERM)
    status, _, err = run.end()
    assert status == 128 + signal.SIGTERM
    assert "ended by SIGTERM before the ranks had stopped by themselves" in err
    run.nothing_is_left()


def test_ranks_that_do_not_stop_in_time_are_ended(start, tmp_path):
    (tmp_path / "slow.py").write_text(f"{ASKS}d.stop_requested()\n{PID}time.sleep(600)\n")
    run = start("-n", 2, "--grace", 0.1, "slow.py")
    run.ranks(2)
    run.process.send_signal(signal.SIGINT)
    status, _, err = run.end()
    assert status == 128 + signal.SIGINT
    assert "the ranks have not exited in time" in err
    run.nothing_is_left()


@pytest.mark.skipif(
    not launcher() or (launcher().kind, launcher().version) != ("openmpi", 5), reason="no ULFM"
)
@pytest.mark.parametrize("leaves", ["sys.exit(d.STOPPED)", "break"])
def test_elastic_ranks_wait_for_one_that_still_writes(start, tmp_path, leaves):
    (tmp_path / "writes.py").write_text(
        "import os, signal, sys, time; from dtrain import distributed as d\n"
        "for step in range(10**9):\n"
        "    if step == 3 and d.rank() == 1: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    if d.stop_requested():\n"
        "        if d.rank() == 0:\n"
        "            time.sleep(1); open('written', 'w').close()\n"
        f"        {leaves}\n"
    )
    status, _, err = start("-n", 3, "--elastic", "writes.py").end()
    assert (status, (tmp_path / "written").exists()) == (0 if leaves == "break" else 75, True), err


def test_all_ranks_stop_at_the_step_that_one_was_asked_in(start, tmp_path):
    (tmp_path / "one.py").write_text(
        "import os, signal, sys; from dtrain import distributed as d\n"
        "for step in range(9):\n"
        "    if step == 4 and d.rank() == 2: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    if d.stop_requested():\n"
        "        os.write(1, b'stopped at %d\\n' % step); sys.exit(d.STOPPED)\n"
    )
    status, out, err = start("-n", 3, "one.py").end()
    assert (status, out) == (75, "stopped at 4\n" * 3), err
