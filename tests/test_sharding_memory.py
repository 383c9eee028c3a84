"""Each rank of a sharded model has its part of parameters, gradients and optimizer state."""

import re
from pathlib import Path

import pytest

from .processes import finished, launcher_in

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "sharding.py"
RANKS = 4
#: for activations, and what Python and its libraries take in the first steps
OTHERS_MB = 30


pytestmark = [
    pytest.mark.skipif(
        not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc"
    ),
    pytest.mark.skipif(not launcher_in({}), reason="no mpirun beside this Python"),
]


def measure(run_python, ranks, *model):
    """The peak of each rank, its part of the four numbers, and two units' gradients, in MB."""
    output = finished(run_python("-m", "dtrain.cli", "run", "-n", ranks, BENCHMARK, *model))
    (part,) = map(int, re.findall(rf"/ {ranks} = (\d+) MB", output))
    (units,) = map(int, re.findall(r"two largest units (\d+) MB", output))
    peaks = list(map(int, re.findall(r"(\d+) MB more at the peak", output)))
    assert len(peaks) == ranks
    return peaks, part, units


@pytest.mark.slow
def test_a_rank_has_its_part_and_the_gradients_of_two_units(run_python):
    model = ["--width", 512, "--layers", 12, "--vocabulary", 12_000]
    peaks, part, units = measure(run_python, RANKS, *model)
    assert max(peaks) <= 1.1 * part + units + OTHERS_MB


@pytest.mark.long
def test_ranks_of_a_machine_need_little_more_together_than_one_alone(run_python):
    """A GPT of 200 million parameters."""
    peaks, part, units = measure(run_python, RANKS)
    (alone,), *_ = measure(run_python, 1)
    assert max(peaks) <= 1.1 * part + units
    assert sum(peaks) <= 1.15 * alone
