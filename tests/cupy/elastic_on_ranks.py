"""Trains the digits on CuPy while ranks fail; rank 0 of the survivors prints each one's digest.

    dtrain run -n 4 --elastic tests/cupy/elastic_on_ranks.py RANK:PHASE:CALL ...

A rank is killed at the given call of its phase, a function of `PHASES`.
"""

import functools
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import tests.cupy.conftest  # noqa: F401  CuPy on host memory where there is no GPU

# isort: split
from dtrain import distributed
from dtrain.distributed.comm import mpi, nccl
from dtrain.parallel.reducer import Reducer
from tests.cupy.test_training import trained
from tests.gathered import gathered

PHASES = {
    "vote": (Reducer, "_vote"),
    "exchange": (nccl.NcclCollectives, "_reduce_slices"),
    "commit": (mpi.MpiCommunicator, "commit"),
    "join": (nccl, "_join_ranks"),
}


def fail(phase, call):
    """Kill this process at a call of a phase, the first being 1."""
    owner, name = PHASES[phase]
    function, calls = getattr(owner, name), iter(range(1, 1000))

    @functools.wraps(function)
    def counted(*args, **options):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)

    setattr(owner, name, counted)


if __name__ == "__main__":
    rank = distributed.rank()
    for plan in sys.argv[1:]:
        own, phase, call = plan.split(":")
        if rank == int(own):
            fail(phase, int(call))
    digests = gathered(trained("cuda"))
    if distributed.rank() == 0:
        print("digests", *digests)
