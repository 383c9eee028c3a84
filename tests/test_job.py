"""What a rank knows of its job: where it goes on from, and that it is asked to stop."""

import signal

import pytest

import dtrain
from dtrain import distributed, nn
from dtrain.checkpoint import resume, save_checkpoint
from dtrain.errors import CheckpointError


@pytest.fixture
def as_job(monkeypatch):
    """Be a job of this name from now on; of none with None."""

    def be(name):
        monkeypatch.delenv("DTRAIN_JOB", raising=False)
        if name is not None:
            monkeypatch.setenv("DTRAIN_JOB", name)

    return be


def save(root, step):
    model = nn.Linear(1, 1)
    with dtrain.no_grad():
        model.weight.fill_(step)
    return save_checkpoint(root, step, model=model)


def resumed(root, path=None):
    """The step that `resume` returns, and whether the model is that of the step."""
    model = nn.Linear(1, 1)
    step = resume(root, path, model=model)
    assert step == 0 or model.weight.item() == step
    return step


def test_a_job_goes_on_from_what_it_wrote_itself(tmp_path, as_job, capsys):
    as_job("old")
    save(tmp_path, 100)
    as_job("new")
    assert resumed(tmp_path) == 0
    save(tmp_path, 10)
    save(tmp_path, 20)
    assert resumed(tmp_path) == 20
    assert f"resumed this job from {tmp_path}/step-00000020" in capsys.readouterr().err
    as_job("old")
    assert resumed(tmp_path) == 100


def test_without_a_launcher_nothing_is_ones_own(tmp_path, as_job):
    as_job(None)
    save(tmp_path, 10)
    assert resumed(tmp_path) == 0
    assert resumed(tmp_path, tmp_path) == 10


def test_what_the_user_named_is_where_a_job_begins(tmp_path, as_job):
    as_job("old")
    before = save(tmp_path, 30)
    as_job("new")
    assert resumed(tmp_path, before) == 30
    save(tmp_path, 20)
    assert resumed(tmp_path, before) == 20
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        resumed(tmp_path / "a", tmp_path / "b")


def test_damaged_checkpoints_are_passed_over_and_named(tmp_path, as_job, capsys):
    as_job("new")
    for step in (10, 20, 30, 40):
        save(tmp_path, step)
    (tmp_path / "step-00000020" / "model.safetensors").write_bytes(b"cut")
    (tmp_path / "step-00000030" / "model.safetensors").unlink()
    (tmp_path / "step-00000040" / "manifest.json").write_text("[]")
    assert resumed(tmp_path) == 10
    passed = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "skipped the damaged checkpoint" in line
    ]
    assert [f"step-000000{step}" in line for step, line in zip((40, 30, 20), passed)] == [True] * 3


def test_all_ranks_go_on_from_the_same_step(tmp_path, as_job):
    as_job("new")
    save(tmp_path, 10)
    assert distributed.run_ranks(3, resumed, tmp_path) == [10] * 3


STOPS = """
import os, signal, sys
from dtrain import distributed
for step in range(10**9):
    if step == {step} and distributed.rank() == {rank}:
        os.kill(os.getpid(), signal.{name})
    if distributed.stop_requested():
        print("stopped at", step)
        sys.exit(distributed.STOPPED)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_world_of_one_stops_after_the_step(run_python, tmp_path, name):
    (tmp_path / "stops.py").write_text(STOPS.format(step=3, rank=0, name=name))
    process = run_python("stops.py")
    assert (process.returncode, process.stdout) == (75, "stopped at 3\n")
    assert f"dtrain: {name}: stops after this step" in process.stderr


def test_ranks_that_are_threads_stop_at_the_same_step(run_python, tmp_path):
    (tmp_path / "stops.py").write_text(STOPS.format(step=3, rank=1, name="SIGTERM"))
    process = run_python("-m", "dtrain.cli", "debug", "-n", 3, "stops.py")
    assert process.returncode == 75
    stopped = [line.split()[-1] for line in process.stdout.splitlines()]
    assert len(stopped) == 3
    assert len(set(stopped)) == 1
    assert int(stopped[0]) >= 3  # when the main thread has come to handle the signal


@pytest.mark.parametrize("command", [[], ["-m", "dtrain.cli", "debug", "-n", 2]])
@pytest.mark.parametrize("asked_before", [True, False])
def test_a_signal_ends_at_once_what_does_not_ask_or_was_told_before(
    run_python, tmp_path, command, asked_before
):
    once = "os.kill(os.getpid(), signal.SIGTERM)\n"
    first = f"distributed.stop_requested()\n{once}while not distributed.stop_requested(): pass\n"
    (tmp_path / "deaf.py").write_text(
        "import os, signal, time; from dtrain import distributed\n"
        f"{first if asked_before else ''}{once}time.sleep(60)\n"
    )
    assert run_python(*command, "deaf.py", timeout_s=30).returncode == -signal.SIGTERM


def test_handlers_of_the_script_are_left_alone(run_python, tmp_path):
    (tmp_path / "own.py").write_text(
        "import os, signal; from dtrain import distributed\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('mine'))\n"
        "distributed.stop_requested(); os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(distributed.stop_requested())\n"
    )
    process = run_python("own.py")
    assert (process.returncode, process.stdout) == (0, "mine\nFalse\n"), process.stderr


def test_a_job_knows_its_name_and_restarts(monkeypatch):
    monkeypatch.setenv("DTRAIN_JOB", "a")
    monkeypatch.setenv("DTRAIN_RESTART_COUNT", "2")
    assert (distributed.job_name(), distributed.restart_count()) == ("a", 2)
