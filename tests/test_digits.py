"""The example from end to end: one digest however it is run, killed and resumed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .processes import finished, launcher_in, weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "examples" / "digits.py"
SHORT = ("--epochs", 1)

pytest.importorskip("sklearn", reason="the digits come with scikit-learn")


needs_mpirun = pytest.mark.skipif(not launcher_in({}), reason="no mpirun beside this Python")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The output of a world of one."""
    argv = [sys.executable, str(DIGITS), *map(str, SHORT), "--out", "runs"]
    folder = tmp_path_factory.mktemp("alone")
    return finished(subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=folder))


def test_the_last_line_says_how_well_it_did_and_where_the_checkpoint_is(alone):
    last = alone.splitlines()[-1]
    assert re.fullmatch(
        r"test accuracy \d+\.\d+%  weights sha256 [0-9a-f]{64}  checkpoint runs/step-00000023", last
    )


@needs_mpirun
@pytest.mark.parametrize(
    "ranks", [1, 2, 5, *(pytest.param(ranks, marks=pytest.mark.long) for ranks in (3, 4, 8))]
)
def test_the_same_bits_under_mpirun(alone, run_python, ranks):
    process = run_python("-m", "dtrain.cli", "run", "-n", ranks, DIGITS, *SHORT)
    assert weights(finished(process)) == weights(alone)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_the_same_bits_on_threads(alone, run_python, ranks):
    process = run_python("-m", "dtrain.cli", "debug", "-n", ranks, DIGITS, *SHORT)
    assert weights(finished(process)) == weights(alone)


@needs_mpirun
def test_a_run_under_mpirun_is_replayed_on_threads_to_the_same_bits(alone, run_python):
    cluster = run_python(
        "-m", "dtrain.cli", "run", "-n", 2, DIGITS, *SHORT, "--checkpoint-every", 9
    )
    assert weights(finished(cluster)) == weights(alone)
    checkpoint = "runs/digits/step-00000009"
    replay = run_python(
        "-m", "dtrain.cli", "debug", "-n", 3, "--replay", checkpoint, DIGITS, *SHORT
    )
    assert re.search(f"dtrain: replaying from .*{checkpoint}", replay.stderr)
    assert weights(finished(replay)) == weights(alone)


KILLED = """
import os, signal, sys
from dtrain import distributed, optim

step = optim.SGD.step
count = 0

def step_or_die(self, closure=None):
    global count
    count += 1
    if (count, distributed.rank()) == (9, {rank}):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, closure)

optim.SGD.step = step_or_die
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


@needs_mpirun
@pytest.mark.parametrize(("ranks", "killed", "then"), [(2, 1, 3), (3, 0, 1)])
def test_a_killed_run_resumes_on_another_number_of_ranks(
    alone, run_python, tmp_path, ranks, killed, then
):
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(rank=killed, path=str(DIGITS)))
    options = (*SHORT, "--out", "runs", "--checkpoint-every", 4)
    run_python("-m", "dtrain.cli", "run", "-n", ranks, script, *options)
    written = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert written == ["step-00000004", "step-00000008"]
    resumed = run_python(
        "-m", "dtrain.cli", "run", "-n", then, DIGITS, *options, "--resume", "runs"
    )
    assert weights(finished(resumed)) == weights(alone)


def test_without_any_mpi_there_is_one_hint_and_no_traceback(alone, tmp_path):
    """In an environment without an MPI library, a launcher or mpi4py."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = (venv / "lib").glob("python*/site-packages")
    for path in sys.path:
        if path.endswith("site-packages"):
            for package in Path(path).iterdir():
                if not package.name.lower().startswith(("mpi4py", "openmpi", "mpich", "impi")):
                    (packages / package.name).symlink_to(package)
    process = subprocess.run(
        [venv / "bin" / "python", DIGITS, *map(str, SHORT)],
        capture_output=True, text=True, timeout=300, cwd=tmp_path,
        env={**os.environ, "PATH": "/nowhere", "PYTHONPATH": str(ROOT), "DTRAIN_THREADS": "1"},
    )  # fmt: skip
    assert weights(finished(process)) == weights(alone)
    assert process.stderr == (
        "dtrain: a world of one, no MPI found; for more ranks: pip install 'dtrain[mpi]', "
        "then dtrain run -n 2 SCRIPT\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "DataError: nowhere: is not a folder"),
        (["--batch-size", "0"], "DataLoader: batch_size must be an integer >= 1, got 0"),
        (["--microbatches", "0"], "DataLoader: microbatches must be an integer >= 1, got 0"),
        (["--resume", "nowhere"], "CheckpointError: nowhere: is no checkpoint and holds none"),
        (["--device", "cuda:9"], "device cuda:9: this machine shows"),
        (["--device", "tpu"], "expected 'cpu', 'cuda', 'cuda:N' or N, got 'tpu'"),
    ],
)
def test_bad_input_is_refused_before_any_work(run_python, tmp_path, options, message):
    process = run_python(DIGITS, *options)
    assert process.returncode == 1
    assert message in process.stderr.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_more_ranks_than_microbatches_are_refused(run_python):
    process = run_python("-m", "dtrain.cli", "debug", "-n", 3, DIGITS, "--microbatches", 2)
    assert process.returncode == 1
    assert "microbatches=2 on 3 ranks: start at most 2 ranks" in process.stderr
    assert process.stderr.count("Traceback") == 1


def test_a_checkpoint_of_another_run_is_refused(alone, run_python, tmp_path):
    finished(run_python(DIGITS, *SHORT, "--out", "runs"))
    before = sorted((tmp_path / "runs").rglob("*"))
    process = run_python(DIGITS, *SHORT, "--resume", "runs", "--microbatches", 4)
    assert "its loader does not fit this program's loader" in process.stderr
    model = tmp_path / "runs" / "step-00000023" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    process = run_python(DIGITS, *SHORT, "--resume", "runs")
    assert "CheckpointError" in process.stderr
    assert "the file was cut or changed" in process.stderr
    assert sorted((tmp_path / "runs").rglob("*")) == before
    shutil.rmtree(tmp_path / "runs")
