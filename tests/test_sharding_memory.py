"""Each rank of a sharded model has its part of parameters, gradients and optimizer state."""

import re
from pathlib import Path

import pytest

from .processes import finished, launcher_in

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "sharding.py"
RANKS = 4
#: for activations, and what Python and its libraries take in the first steps
OTHERS_MB = 30


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc"
)
@pytest.mark.skipif(not launcher_in({}), reason="no mpirun beside this Python")
def test_a_rank_has_its_part_and_the_gradients_of_two_units(run_python):
    model = ["--width", 512, "--layers", 12, "--vocabulary", 12_000]
    output = finished(run_python("-m", "dtrain.cli", "run", "-n", RANKS, BENCHMARK, *model))
    (part,) = map(int, re.findall(rf"/ {RANKS} = (\d+) MB", output))
    (units,) = map(int, re.findall(r"two largest units (\d+) MB", output))
    peaks = list(map(int, re.findall(r"(\d+) MB more at the peak", output)))
    assert len(peaks) == RANKS
    assert max(peaks) <= 1.1 * part + units + OTHERS_MB, output
