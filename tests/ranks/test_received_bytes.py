"""What comes from other machines is counted while a collective runs: the watchdog reads it."""

import numpy as np
import pytest

from dtrain.distributed.comm.tree_reduce import equal_bounds
from dtrain.distributed.world import communicator


@pytest.mark.mpi
def test_bytes_from_other_machines_are_counted_for_each_call():
    comm, n = communicator(), 1000
    nodes = len(comm.node.all_ranks)
    bounds = equal_bounds(n, comm.size)
    flat = np.ones(n, np.float32)
    comm.all_gather_slices(flat, bounds)
    own = bounds[comm.node.ranks[-1] + 1] - bounds[comm.node.ranks[0]]
    received = comm.collective_log.received_bytes
    assert received == (4 * (n - own) if nodes > 1 and comm.node.rank == 0 else 0)
    comm.all_reduce([flat], flat, comm.size)
    gathered, reduced = received, comm.collective_log.received_bytes
    if nodes > 1 and comm.node.rank == 0:  # at least one partial sum of each other node, and all
        assert reduced >= gathered + 4 * own * (nodes - 1)
    else:
        assert reduced == 0
    assert (flat == comm.size).all()
    comm.barrier()
    assert comm.collective_log.received_bytes == 0
