"""`--nodes K` lets the ranks of one machine believe that they are on K machines."""

import pytest

from dtrain.distributed.comm import node


def pytest_addoption(parser):
    parser.addoption("--nodes", type=int, default=1, help="machines that the ranks are split into")


@pytest.fixture(autouse=True, scope="session")
def nodes(request):
    count, runs = request.config.getoption("--nodes"), node._runs
    if count == 1:
        yield
        return

    def split(machines):
        return runs([rank * count // len(machines) for rank in range(len(machines))])

    patch = pytest.MonkeyPatch()
    patch.setattr(node, "_runs", split)
    yield
    patch.undo()
