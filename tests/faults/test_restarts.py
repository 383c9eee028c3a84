"""`dtrain run --max-restarts`: what was killed goes on, to the bits of a run that was not."""

import json
import signal

import pytest

from .conftest import DIGITS, KILLED_STATUS, SHORT, weights

pytestmark = pytest.mark.slow

# digits.py, of which one rank kills itself at some step of each of its first starts.
KILLED = """
import os, signal, sys
from dtrain import distributed, optim

plan = {plan}
step = optim.SGD.step
count = 0

def step_or_die(self, closure=None):
    global count
    count += 1
    if (distributed.restart_count(), count, distributed.rank()) in plan:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, closure)

optim.SGD.step = step_or_die
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


@pytest.fixture
def killed(tmp_path):
    """A script that is killed at these (start, step of the start, rank)."""

    def write(*plan):
        (tmp_path / "killed.py").write_text(KILLED.format(plan=plan, path=str(DIGITS)))
        return "killed.py"

    return write


def jobs(folder):
    """The names of the jobs that wrote the checkpoints of a run."""
    return {
        path.parent.name: json.loads(path.read_text())["job"]
        for path in sorted(folder.glob("runs/step-*/manifest.json"))
    }


def test_a_job_that_was_killed_twice_ends_with_the_same_bits(start, killed, undisturbed, tmp_path):
    script = killed((0, 13, 1), (1, 15, 0))
    run = start("-n", 2, "--max-restarts", 3, script, *SHORT, "--checkpoint-every", 10)
    status, out, err = run.end()
    assert (status, weights(out)) == (0, undisturbed), err
    killed_by_9 = f"dtrain run: the job failed with status {KILLED_STATUS}"
    said = [line.partition(" (")[0] for line in err.splitlines() if line.startswith("dtrain")]
    assert said == [
        killed_by_9,
        "dtrain run: restart 1 of 3",
        "dtrain: resumed this job from runs/step-00000010",
        killed_by_9,
        "dtrain run: restart 2 of 3",
        "dtrain: resumed this job from runs/step-00000020",
    ]
    assert list(jobs(tmp_path)) == [f"step-000000{n}" for n in (10, 20, 30, 40, 46)]
    assert len(set(jobs(tmp_path).values())) == 1


def test_a_restart_leaves_an_older_run_in_the_folder_alone(start, killed, undisturbed, tmp_path):
    assert start("-n", 1, DIGITS, "--epochs", 1, "--out", "runs", "--seed", 1).end()[0] == 0
    script = killed((0, 5, 0))
    run = start("-n", 2, "--max-restarts", 1, script, *SHORT, "--checkpoint-every", 10)
    status, out, err = run.end()
    assert (status, weights(out)) == (0, undisturbed), err
    assert "resumed this job" not in err
    assert len(set(jobs(tmp_path).values())) == 2


def test_when_the_restarts_are_used_up_it_says_so(start, killed):
    run = start("-n", 2, "--max-restarts", 1, killed((0, 3, 0), (1, 4, 1)), *SHORT)
    status, out, err = run.end()
    assert (status, "sha256" in out) == (KILLED_STATUS, False)
    assert err.splitlines()[-1] == "dtrain run: no restart is left: the job failed 2 times"
    run.nothing_is_left()


def test_a_host_that_does_not_answer_is_left_out(start, tmp_path):
    """The first start fails, for one host has no such name; the second has the other alone."""
    (tmp_path / "size.py").write_text(
        "import os; from dtrain import distributed\n"
        "os.write(1, b'of %d\\n' % distributed.world_size())\n"
    )
    run = start("-n", 4, "--hosts", "localhost:2,nowhere.invalid:2", "--max-restarts", 1, "size.py")
    status, out, err = run.end()
    assert (status, out[-10:]) == (0, "of 2\nof 2\n"), err  # mpirun tells the first on stdout
    assert "dtrain run: nowhere.invalid does not answer: goes on with 2 ranks" in err


def test_a_job_that_is_asked_to_stop_is_not_started_again(start, tmp_path):
    (tmp_path / "waits.py").write_text(
        "import os, time; from dtrain import distributed\n"
        "open(f'rank{distributed.rank()}.pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    run = start("-n", 2, "--max-restarts", 5, "waits.py")
    run.ranks(2)
    run.process.send_signal(signal.SIGTERM)
    status, _, err = run.end()
    assert (status, "restart" in err) == (128 + signal.SIGTERM, False)
    run.nothing_is_left()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-restarts", "-1"], "--max-restarts must be >= 0, got -1"),
        (["--grace", "-2"], "--grace must be >= 0 seconds, got -2"),
    ],
)
def test_bad_input_is_refused(start, options, message):
    status, _, err = start("-n", 1, *options, DIGITS).end()
    assert (status, err) == (2, f"dtrain run: {message}\n")
