"""No silent hang: who keeps the others waiting is named, and where; what cannot go on ends."""

import os
import re
import signal

import pytest

from .. import hosts
from .conftest import launcher, wait_until

pytestmark = pytest.mark.slow

BEGIN = """
import os, sys, time
import dtrain
from dtrain import distributed as d
rank = d.rank()
open(f"rank{rank}.pid", "w").write(str(os.getpid()))
"""


@pytest.fixture
def job(start, tmp_path):
    """Starts a script on three ranks; its first line is number 7."""

    def job(source, *options, ranks=3):
        (tmp_path / "script.py").write_text(BEGIN + source)
        return start("-n", ranks, *options, "script.py")

    return job


def lines(err):
    """What dtrain says of the job."""
    return [line for line in err.splitlines() if line.startswith("dtrain: ")]


def ends_by(run, pattern):
    status, _, err = run.end()
    (line,) = lines(err)
    assert re.fullmatch(f"dtrain: {pattern}", line), err
    assert status not in (0, 75)
    run.nothing_is_left()
    return err


ON = r"on host \S+"
LATE = rf"dtrain: ranks 0, 2 have waited [1-9]\d* s in barrier \(script\.py:\d+\) for rank 1 {ON}, "


# --- what can never go on -------------------------------------------------------------------------


def test_a_rank_in_another_call(job):
    run = job("d.all_gather_object([0] * 3, 1) if rank == 1 else d.barrier()\n")
    ends_by(
        run,
        r"dtrain\.errors\.DesyncError: the ranks wait for each other in different calls: "
        rf"ranks 0, 2 {ON} in barrier \(script\.py:7\); "
        rf"rank 1 {ON} in allgather for a value \(script\.py:7\)",
    )


def test_a_message_from_a_rank_that_has_ended(job):
    run = job("if rank == 0:\n    d.recv(dtrain.ones(1), 1)\n")
    ends_by(
        run,
        rf"dtrain\.errors\.RankFailedError: rank 1 {ON} came to the end of the program, where "
        rf"rank 0 {ON} waits in recv from rank 1 \(script\.py:8\)",
    )


def test_a_rank_that_skips_a_step(job):
    run = job(
        "from dtrain.data import DataLoader, TensorDataset\n"
        "model = dtrain.DataParallel(dtrain.nn.Linear(1, 1))\n"
        "for i, (x,) in enumerate(DataLoader(TensorDataset(dtrain.ones(60, 1)), 2)):\n"
        "    if rank == 1 and i == 4:\n"
        "        continue\n"
        "    model(x).sum().backward()\n"
    )
    status, _, err = run.end()
    assert status not in (0, 75)
    assert re.search(
        r"DesyncError: DataParallel: the ranks are at different steps: rank 0 at step 4 of "
        r"3 microbatches \(script\.py:12\), rank 1 at step 5 of 3 microbatches \(script\.py:12\)",
        err,
    ), err


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        ("dtrain.ones(5)", r"\(5,\) float32"),
        ("dtrain.ones(4, dtype=dtrain.float64)", r"\(4,\) float64"),
    ],
)
def test_a_rank_with_another_shape_or_dtype(job, make, kind):
    run = job(f"x = {make} if rank == 1 else dtrain.ones(4)\nd.all_reduce(x)\n")
    status, _, err = run.end()
    assert status not in (0, 75)
    here, call = r"\(script\.py:8\)", r"all_reduce \(SUM\) of"
    assert re.search(
        f"DesyncError: the ranks call different collectives: rank 0 {call} \\(4,\\) float32 {here}, "
        f"rank 1 {call} {kind} {here}, rank 2 {call} \\(4,\\) float32 {here}",
        err,
    ), err


def test_a_rank_that_raises(job):
    run = job("if rank == 1:\n    raise KeyError('mine')\nd.barrier()\n")
    err = ends_by(run, f"rank 1 {ON} raised:")
    assert err.count("Traceback") == err.count("KeyError: 'mine'") == 1
    assert 'File "script.py", line 8, in <module>' in err
    assert "runpy" not in err


@pytest.mark.parametrize("leave", ["sys.exit(0)", "sys.exit()"])
def test_a_rank_that_leaves_early(job, leave):
    run = job(f"if rank == 1:\n    {leave}\nd.barrier()\n")
    ends_by(
        run,
        rf"dtrain\.errors\.RankFailedError: rank 1 {ON} came to the end of the program, "
        rf"where the others wait: ranks 0, 2 {ON} in barrier \(script\.py:9\)",
    )


def test_a_rank_that_leaves_with_a_status_ends_all_with_it(job):
    run = job("if rank == 1:\n    sys.exit(3)\nd.barrier()\n")
    status, _, err = run.end()
    assert (status, lines(err)) == (3, []), err


def test_ranks_that_end_at_different_times_are_no_failure(job):
    run = job("time.sleep(rank)\n", "--stall-warning", 1)
    status, _, err = run.end()
    assert (status, lines(err)) == (0, [])


# --- what may go on -------------------------------------------------------------------------------


def test_a_rank_that_is_late(job):
    run = job(
        "def load():\n    time.sleep(4)\nif rank == 1:\n    load()\nd.barrier()\n",
        "--stall-warning", 2,
    )  # fmt: skip
    status, _, err = run.end()
    late, over = lines(err)
    assert status == 0, err
    assert re.fullmatch(LATE + r"which is at script\.py:8 in load\(\)", late)
    assert re.fullmatch(r"dtrain: the ranks go on: they had waited \d+ s for rank 1", over)


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_rank_that_is_stopped(job, tmp_path, stopped):
    go = "go = lambda: os.path.exists('go')\n"
    run = job(go + f"while rank == {stopped} and not go():\n    time.sleep(0.1)\nd.barrier()\n")
    pid = run.ranks(3)[stopped]
    os.kill(pid, signal.SIGSTOP)
    line = wait_until(lambda: next(iter(lines(run.process.stderr.readline())), None))
    (tmp_path / "go").touch()
    os.kill(pid, signal.SIGCONT)
    waiting = {0: "ranks 1, 2", 1: "ranks 0, 2"}[stopped]
    assert re.fullmatch(
        rf"dtrain: {waiting} have waited \d s in barrier \(script\.py:10\) for rank {stopped} {ON}, "
        "which does not answer: stopped, swapped out, held up in C code, or its host is gone",
        line,
    )
    assert run.end()[0] == 0


def test_a_rank_that_is_late_for_too_long_ends_the_job(job):
    run = job(
        "if rank == 1:\n    time.sleep(600)\nd.barrier()\n",
        "--stall-warning", 0, "--stall-timeout", 3,
    )  # fmt: skip
    ends_by(
        run,
        rf"dtrain\.errors\.RankFailedError: {LATE[8:]}which is at script\.py:8 \(--stall-timeout 3\)",
    )


@pytest.mark.skipif(
    getattr(launcher(), "kind", None) != "openmpi", reason="ranks are elastic under Open MPI alone"
)
def test_elastic_ranks_that_have_ended_go_on_without_a_failed_rank(job):
    run = job(
        "d.barrier()\n"
        "if rank == 2:\n"
        "    while not all(os.path.exists(f'ended{r}') for r in (0, 1)):\n"
        "        time.sleep(0.01)\n"
        "    os.kill(os.getpid(), 9)\n"
        "os.close(os.open(f'ended{rank}', os.O_CREAT))\n",
        "--elastic",
    )
    status, _, err = run.end()
    assert (status, len(lines(err))) == (0, 1), err
    assert re.fullmatch(r"dtrain: failed ranks: 2 on \S+; 2 survivors go on", lines(err)[0])


@pytest.mark.parametrize("option", ["--stall-warning", "--stall-timeout"])
def test_bad_input_is_refused(job, option):
    status, _, err = job("", option, -1).end()
    assert (status, err) == (2, f"dtrain run: {option} must be >= 0 seconds, got -1\n")


@pytest.mark.skipif(bool(hosts.why_not()), reason=f"no hosts: {hosts.why_not()}")
def test_the_host_is_named(tmp_path):
    (tmp_path / "script.py").write_text(
        BEGIN + "d.all_gather_object([0, 0], 1) if rank == 1 else d.barrier()\n"
    )
    with hosts.hosts(2) as cluster:
        process = cluster.run("--hosts", cluster.hosts(1), "script.py", cwd=tmp_path)
    assert process.returncode != 0
    assert (
        "DesyncError: the ranks wait for each other in different calls: rank 0 on host host1 in "
        "barrier (script.py:7); rank 1 on host host2 in allgather for a value (script.py:7)"
    ) in process.stderr
