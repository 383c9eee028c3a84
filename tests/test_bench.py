"""`dtrain bench` measures and refuses."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dtrain.cli.main import app


def bench(*args):
    command = [sys.executable, "-m", "dtrain.cli", "bench", "allreduce", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_allreduce_prints_a_line_for_each_size():
    done = bench("-n", "2", "--sizes", "0.01,1")
    if "no mpirun" in done.stderr:
        pytest.skip("no mpirun")
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if "│" in line]
    assert [row[0].strip() for row in rows] == ["0.01", "1"]
    assert all(float(cell) > 0 for row in rows for cell in row[1:3])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-n", "1"], "-n must be >= 2, got 1: a rank alone reduces nothing"),
        (["--sizes", "1,big"], "--sizes must be megabytes such as 1,16,100: got 'big'"),
        (["--sizes", "-1"], "got '-1'"),
        (["--sizes", "nan"], "got 'nan'"),
        (["--hosts", "a:x"], "--hosts must be names with their numbers of ranks"),
    ],
)
def test_what_cannot_be_measured_is_refused(args, message):
    done = CliRunner().invoke(app, ["bench", "allreduce", *args])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not done.stdout
