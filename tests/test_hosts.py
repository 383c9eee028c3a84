"""`dtrain run` over hosts, made of network namespaces: the same bits, and nothing stays behind."""

import signal
import subprocess
import sys
import time

import pytest

from . import hosts
from .processes import finished, is_running, weights
from .test_launch import needs_mpi

DIGITS = hosts.ROOT / "examples" / "digits.py"
SHORT = ("--epochs", 1)

needs_hosts = pytest.mark.skipif(bool(hosts.why_not()), reason=f"no hosts: {hosts.why_not()}")
pytestmark = [needs_mpi, needs_hosts, pytest.mark.slow]


@pytest.fixture(scope="module")
def pair():
    with hosts.hosts(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The digest of a world of one."""
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    argv = [sys.executable, DIGITS, *map(str, SHORT)]
    folder = tmp_path_factory.mktemp("alone")
    process = subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=folder)
    return weights(finished(process))


# So many hosts, the ranks that each takes, and how many there are.
HOSTS = [
    *[(2, 1, 2), (4, 1, 4), (2, 3, 5)],
    *(pytest.param(*row, marks=pytest.mark.long) for row in [(2, 2, 3), (2, 2, 4), (2, 4, 8)]),
]


@pytest.mark.parametrize(("count", "slots", "ranks"), HOSTS)
def test_the_same_bits_on_any_hosts(alone, tmp_path, count, slots, ranks):
    with hosts.hosts(count) as cluster:
        process = cluster.run(
            "--hosts", cluster.hosts(slots), "-n", ranks, DIGITS, *SHORT, cwd=tmp_path
        )
        sent = cluster.bytes_sent()
    assert weights(finished(process)) == alone
    assert min(sent) > 500_000  # the gradients of 23 steps


NODES = """
import socket
from mpi4py import MPI
world = MPI.COMM_WORLD
node = world.Split_type(MPI.COMM_TYPE_SHARED)
line = (world.rank, socket.gethostname(), node.rank, node.size)
for line in world.gather(line) or []:
    print(*line)
"""


def test_a_host_is_a_node_to_mpi(pair, tmp_path):
    (tmp_path / "nodes.py").write_text(NODES)
    process = pair.run("--hosts", pair.hosts(2), "-n", 3, "nodes.py", cwd=tmp_path)
    assert finished(process).splitlines() == ["0 host1 0 2", "1 host1 1 2", "2 host2 0 1"]


WHERE = """
import os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
print(world.rank, *(os.environ.get(name) for name in sys.argv[1:]))
"""


def test_a_port_a_network_and_variables_reach_other_hosts(pair, tmp_path):
    (tmp_path / "where.py").write_text(WHERE)
    network = ["--hosts", pair.hosts(1), "--ssh-port", 2222, "--interface", "eth0"]
    process = pair.run(*network, "-x", "DATA=a b", "where.py", "PORT", "DATA", cwd=tmp_path)
    assert set(finished(process).splitlines()) == {"0 None a b", "1 2222 a b"}


SEND = """
import numpy as np
from mpi4py import MPI
world = MPI.COMM_WORLD
data = np.ones(8_000_000, np.uint8)
if world.rank == 0:
    world.Send(data, 1)
else:
    world.Recv(data, 0)
"""


def test_what_ranks_send_passes_the_link(pair, tmp_path):
    (tmp_path / "send.py").write_text(SEND)
    before = pair.bytes_sent()
    finished(pair.run("--hosts", pair.hosts(1), "send.py", cwd=tmp_path))
    there, back = (now - then for now, then in zip(pair.bytes_sent(), before))
    assert 8_000_000 < there < 9_000_000
    assert back < 1_000_000


def test_variables_and_arguments_reach_the_other_host(pair, tmp_path):
    (tmp_path / "show.py").write_text(
        "import os, sys; from mpi4py import MPI\n"
        "here = os.environ['OPENBLAS_CORETYPE'], os.environ['OMP_NUM_THREADS'], sys.argv[1:]\n"
        "for line in MPI.COMM_WORLD.gather((*here, os.getcwd())) or []: print(line)\n"
    )
    words = ["--hosts", pair.hosts(1), "show.py", "a b", "$HOME", "--", "*", "'"]
    variables = {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1"}
    process = pair.run(*words, cwd=tmp_path, **variables)
    line = str(("Haswell", "1", words[3:], str(tmp_path)))
    assert finished(process).splitlines() == [line, line]


def test_a_rank_0_on_another_host_knows_that_there_is_no_terminal(pair, tmp_path):
    (tmp_path / "progress.py").write_text(
        "from dtrain.train import Progress\n"
        "with Progress('epoch 1/1', 2) as progress: progress.advance(1, loss=0.5)\n"
    )
    far = list(pair.pids)[1]
    output = finished(pair.run("--hosts", far, "progress.py", cwd=tmp_path))
    assert "epoch 1/1  loss 0.5000" in output
    assert "\x1b" not in output


def test_an_exception_on_another_host_ends_the_job_and_is_shown_once(pair, tmp_path):
    (tmp_path / "raises.py").write_text(
        "from mpi4py import MPI\n"
        "if MPI.COMM_WORLD.rank == 1: raise ValueError('the second host')\n"
        "MPI.COMM_WORLD.Barrier()\n"
    )
    process = pair.run("--hosts", pair.hosts(1), "raises.py", cwd=tmp_path, timeout_s=300)
    assert process.returncode == 1
    assert process.stderr.count("ValueError: the second host") == 1


WAIT = """
import os, time
from dtrain import distributed
distributed.rank()
os.write(1, b"%d\\n" % os.getpid())
time.sleep(60)
"""


def all_end(pids):
    deadline = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(is_running, pids))


def test_a_signal_ends_the_ranks_of_all_hosts(pair, tmp_path):
    (tmp_path / "wait.py").write_text(WAIT)
    process = pair.start("--hosts", pair.hosts(1), "wait.py", cwd=tmp_path)
    try:
        ranks = [int(process.stdout.readline()) for _ in range(2)]
        process.terminate()
        process.communicate(timeout=300)
    finally:
        process.kill()
    assert all_end(ranks)


# --- the hosts themselves -------------------------------------------------------------------------


def test_hosts_end_with_what_runs_on_them(tmp_path):
    (tmp_path / "wait.py").write_text(WAIT)
    with pytest.raises(KeyError, match="a test failed"), hosts.hosts(2) as cluster:  # noqa: PT012
        process = cluster.start("--hosts", cluster.hosts(1), "wait.py", cwd=tmp_path)
        ranks = [int(process.stdout.readline()) for _ in range(2)]
        raise KeyError("a test failed")
    process.communicate(timeout=300)
    assert not any(map(is_running, [*ranks, *cluster.pids.values()]))


MAKES_HOSTS = """
import sys
from tests.hosts import hosts
with hosts(2) as cluster:
    print(*cluster.pids.values(), flush=True)
    process = cluster.start("--hosts", cluster.hosts(1), sys.argv[1])
    for line in process.stdout:
        print(line, flush=True, end="")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_hosts_end_with_the_process_that_made_them(tmp_path, number):
    script = tmp_path / "wait.py"
    script.write_text(WAIT)
    argv = [sys.executable, "-c", MAKES_HOSTS, str(script)]
    maker = subprocess.Popen(
        argv, cwd=hosts.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        pids = [int(pid) for pid in maker.stdout.readline().split()]
        pids += [int(maker.stdout.readline()) for _ in range(2)]
        maker.send_signal(number)
        assert all_end(pids)
    finally:
        maker.kill()
        maker.communicate()


def test_a_wrong_rate_is_named():
    message = r"(?s)tc qdisc add dev port1 .* rate fast: .*fast"
    with pytest.raises(RuntimeError, match=message), hosts.hosts(1, rate="fast"):
        pass


def test_why_there_are_no_hosts(monkeypatch, tmp_path):
    (tmp_path / "ip").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hosts.why_not() == "not in PATH: mount, nsenter, tc, unshare"
