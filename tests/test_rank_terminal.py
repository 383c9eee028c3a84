"""Rank 0 of `dtrain run` on a terminal: its bars move, other ranks show none."""

import os
import pty
import re
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from dtrain.distributed import launch
from dtrain.distributed.launch import rank_terminal
from dtrain.errors import LaunchError

ROOT = Path(__file__).parents[1]
BAR = """
import os, sys
from dtrain import distributed as d

if d.rank() == 0:
    print("half of it", sys.stdout.isatty(), sys.stderr.isatty(), end="\\r", file=sys.stderr)
    input()
d.barrier()
print("rank", d.rank(), os.environ.get("TQDM_DISABLE"))
"""


def has_launcher():
    try:
        return bool(launch.find_launcher(os.environ))
    except LaunchError:
        return False


@pytest.fixture
def run_in_terminal(tmp_path):
    """Starts a command in a terminal; returns a function that reads from it until a text is there."""
    started = []

    def start(*words):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(tmp_path)
            os.execve(words[0], words, {**os.environ, "PYTHONPATH": str(ROOT)})
        started.append((pid, terminal))
        seen = b""

        def read_until(pattern, answer=b""):
            nonlocal seen
            while not re.search(pattern, seen):
                seen += os.read(terminal, 4096)  # or OSError: the command has ended without it
            os.write(terminal, answer)
            return seen.decode()

        return read_until

    yield start
    for pid, terminal in started:
        os.close(terminal)
        deadline = time.monotonic() + 60
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


@pytest.mark.skipif(not has_launcher(), reason="no MPI launcher")
def test_an_incomplete_line_of_rank_0_is_seen_while_it_runs(run_in_terminal, tmp_path):
    (tmp_path / "bar.py").write_text(BAR)
    read_until = run_in_terminal(sys.executable, "-m", "dtrain.cli", "run", "-n", "2", "bar.py")
    read_until(rb"half of it True True\r", b"go on\n")
    assert "rank 0 None" in read_until(rb"(?s)(?=.*rank 0)(?=.*rank 1 1)")


def test_a_terminal_that_was_closed_is_no_error(monkeypatch):
    control, terminal = os.openpty()
    other_control, other = os.openpty()
    path = os.ttyname(terminal)
    with open(path, "w") as out, open(path, "w") as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        assert rank_terminal.find_terminal() == f"{socket.gethostname()}:{path}"
        monkeypatch.setattr(sys, "stderr", sys.__stdin__)
        assert rank_terminal.find_terminal() is None
        with open(os.ttyname(other), "w") as elsewhere:
            monkeypatch.setattr(sys, "stderr", elsewhere)
            assert rank_terminal.find_terminal() is None
    os.close(other)
    os.close(other_control)
    with open(path, "w") as out:
        stream = rank_terminal._reopen(out, rank_terminal._Terminal)
        stream.write("seen")
        stream.flush()
        assert os.read(control, 10) == b"seen"
        os.close(terminal)
        os.close(control)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(out.fileno(), b"x")
        stream.write("not seen")
        stream.flush()
        assert stream.isatty() is False  # not any more
