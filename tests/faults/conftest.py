"""Starting `dtrain run`, waiting for what it does, and seeing that nothing is left of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import finished, is_running, launcher_in, weights

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits.py"
SHORT = ("--epochs", "2", "--out", "runs")  # 46 steps
LIMIT_S = 300


def launcher():
    return launcher_in(os.environ)


def pytest_collection_modifyitems(items):
    if launcher() is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no MPI launcher"))


# What the launcher makes of a rank that was killed by SIGKILL.
KILLED_STATUS = 9 if (found := launcher()) and found.kind == "mpich" else 128 + 9


def environment():
    """Ours without threads, for `dtrain run` sets them; dtrain is found without being installed."""
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return {**environ, "PYTHONPATH": str(ROOT), "VIRTUAL_ENV": sys.prefix}


def wait_until(condition):
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + LIMIT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "has not come true in time"
        time.sleep(0.01)
    return value


def children(pid):
    """The processes that a process has started and that still run."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split() if is_running(child)]


def descendants(pid):
    """All of them, by their depth."""
    level = [pid]
    while level := [child for parent in level for child in children(parent)]:
        yield from level


class Run:
    """A `dtrain run` that was started in a folder."""

    def __init__(self, folder, *words):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dtrain.cli", "run", *map(str, words)],
            cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(),
        )  # fmt: skip
        self.started = set()

    def ranks(self, number):
        """The process ids of the ranks, by rank, once all have written theirs to a file."""
        files = [self.folder / f"rank{rank}.pid" for rank in range(number)]
        wait_until(lambda: all(file.exists() and file.read_text() for file in files))
        self.started |= set(descendants(self.process.pid))
        return [int(file.read_text()) for file in files]

    def end(self):
        """The exit status, stdout and stderr."""
        self.started |= set(descendants(self.process.pid))
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err

    def scratch_folders(self):
        return list(Path("/dev/shm").glob(f"dtrain-launch-{self.process.pid}-*"))

    def nothing_is_left(self):
        wait_until(lambda: not any(map(is_running, self.started)))


@pytest.fixture
def start(tmp_path):
    """Starts `dtrain run`; what the test leaves running is killed."""
    runs = []

    def start(*words):
        runs.append(Run(tmp_path, *words))
        return runs[-1]

    yield start
    for run in runs:
        run.process.send_signal(signal.SIGKILL)
        run.process.communicate()
        for pid in filter(is_running, run.started):
            os.kill(pid, signal.SIGKILL)
        assert not [path for folder in run.scratch_folders() for path in folder.rglob("*")]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The weights of digits.py when nothing happens to it."""
    process = subprocess.run(
        [sys.executable, DIGITS, *SHORT], capture_output=True, text=True, timeout=LIMIT_S,
        cwd=tmp_path_factory.mktemp("undisturbed"), env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return weights(finished(process))
