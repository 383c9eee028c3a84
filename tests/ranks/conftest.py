"""`--nodes K` lets the ranks of one machine believe that they are on K machines."""

import pytest

from dtrain.distributed.comm import node_local
from dtrain.distributed.world import communicator


def pytest_addoption(parser):
    parser.addoption("--nodes", type=int, default=1, help="machines that the ranks are split into")


@pytest.fixture(autouse=True, scope="session")
def nodes(request):
    count, runs = request.config.getoption("--nodes"), node_local._group_ranks
    if count == 1:
        yield
        return

    def split(machines):
        return runs([rank * count // len(machines) for rank in range(len(machines))])

    patch = pytest.MonkeyPatch()
    patch.setattr(node_local, "_group_ranks", split)
    comm = communicator()
    comm._join(comm._comm)  # `dtrain run` has joined the ranks before pytest starts
    assert len(comm.node.all_ranks) == min(count, comm.size)
    assert comm.over_network
    yield
    patch.undo()
