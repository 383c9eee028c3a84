"""Trains the digits on CuPy, on the ranks of an MPI job; rank 0 prints each rank's digest,
without and with CUDA graphs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import tests.cupy.conftest  # noqa: F401  CuPy on host memory where there is no GPU
from dtrain import distributed
from tests.cupy.test_training import graphed, trained
from tests.gathered import gathered

if __name__ == "__main__":
    for digests in gathered(trained("cuda")), gathered(graphed()):
        if distributed.rank() == 0:
            print("digests", *digests)
