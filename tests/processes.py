"""What tests that start processes share: whether they run, what they printed."""

import re
from pathlib import Path

from dtrain.distributed.launch import find_launcher
from dtrain.errors import LaunchError


def launcher_in(environ):
    """The MPI launcher that `dtrain run` takes with these variables; None if there is none."""
    try:
        return find_launcher(environ)
    except LaunchError:
        return None


def is_running(pid):
    """Whether a process exists and has not ended, even if its end was not read yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def finished(process):
    """The output of a process that has ended well."""
    assert process.returncode == 0, process.stderr
    return process.stdout


def weights(output):
    """The digest that examples/digits.py printed."""
    (found,) = re.findall(r"weights sha256 ([0-9a-f]{64})", output)
    return found
