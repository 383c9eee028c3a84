"""Each rank of a sharded model has its part of parameters, gradients and optimizer state."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dtrain.distributed.launch import find_launcher
from dtrain.errors import LaunchError

from .processes import finished

ROOT = Path(__file__).parent.parent
RANKS = 4
#: for activations, and what Python and its libraries take in the first steps
OTHERS_MB = 30


def has_mpirun():
    try:
        return bool(find_launcher({}))
    except LaunchError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc"
)
@pytest.mark.skipif(not has_mpirun(), reason="no mpirun beside this Python")
def test_a_rank_has_its_part_and_the_gradients_of_two_units(tmp_path):
    model = ["--width", 512, "--layers", 12, "--vocabulary", 12_000]
    argv = [
        sys.executable, "-m", "dtrain.cli", "run", "-n", RANKS, ROOT / "benchmarks" / "sharding.py", *model
    ]  # fmt: skip
    argv = list(map(str, argv))
    run = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    output = finished(run)
    (part,) = map(int, re.findall(rf"/ {RANKS} = (\d+) MB", output))
    (units,) = map(int, re.findall(r"two largest units (\d+) MB", output))
    peaks = list(map(int, re.findall(r"(\d+) MB more at the peak", output)))
    assert len(peaks) == RANKS
    assert max(peaks) <= 1.1 * part + units + OTHERS_MB, output
