"""Daemons and hosts that are lost: no success, and the job goes on with the hosts that answer."""

import os
import signal
from pathlib import Path

import pytest

from tests import hosts

from .conftest import DIGITS, LIMIT_S, SHORT, is_running, wait_until, weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(hosts.why_not()), reason=str(hosts.why_not())),
]
DAEMONS = ("prted", "hydra_pmi_proxy")  # Open MPI's, MPICH's

# digits.py, whose ranks wait at a step of their first start.
WAITS = """
import os, time
from dtrain import distributed, optim

step = optim.SGD.step
count = 0

def step_or_wait(self, closure=None):
    global count
    count += 1
    if (distributed.restart_count(), count) == (0, 15):
        with open(f"rank{{distributed.rank()}}.pid", "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    return step(self, closure)

optim.SGD.step = step_or_wait
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


@pytest.fixture
def waiting(tmp_path):
    """Two hosts, and digits.py on them: starts it, and waits until its ranks wait."""
    (tmp_path / "waits.py").write_text(WAITS.format(path=str(DIGITS)))
    processes = []
    with hosts.hosts(2) as cluster:

        def start(*options):
            script = ("waits.py", *SHORT, "--checkpoint-every", 5)
            words = ("--hosts", cluster.hosts(ranks=1), *options, *script)
            process = cluster.start(*words, cwd=tmp_path)
            processes.append(process)
            files = [tmp_path / f"rank{rank}.pid" for rank in range(2)]
            wait_until(lambda: all(file.exists() and file.read_text() for file in files))
            return process, [int(file.read_text()) for file in files]

        yield cluster, start
        for process in processes:
            process.kill()
            process.communicate()


def kill_daemon(host, and_host=False):
    """Kill the daemon of a host; nothing can be started on the host, too, if that is killed."""
    network = os.readlink(f"/proc/{host}/ns/net")
    if and_host:
        os.kill(host, signal.SIGKILL)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
            if name in DAEMONS and os.readlink(process / "ns" / "net") == network:
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:  # it has ended
            continue


def test_a_killed_daemon_is_no_success(waiting):
    cluster, start = waiting
    process, ranks = start()
    kill_daemon(list(cluster.pids.values())[1])
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode not in (0, 75)
    assert ("no rank came to the end" in err) == (process.returncode == 1)
    assert "sha256" not in out
    wait_until(lambda: not any(map(is_running, ranks)))


def test_a_job_goes_on_with_the_hosts_that_are_left(waiting, undisturbed):
    cluster, start = waiting
    process, _ = start("--max-restarts", 1)
    address, host = list(cluster.pids.items())[1]
    kill_daemon(host, and_host=True)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, weights(out)) == (0, undisturbed), err
    assert f"{address} does not answer: goes on with 1 ranks" in err
    assert "resumed this job from runs/step-00000010" in err
