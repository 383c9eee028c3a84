"""`dtrain run --elastic`: what is refused, and ranks that leave by raising."""

import re

import pytest

from dtrain.distributed import launch
from dtrain.distributed.launch import JobSpec, Launcher, Machine
from dtrain.errors import LaunchError

from .conftest import KILLED_STATUS, ROOT, SHORT, launcher, weights

pytestmark = pytest.mark.slow

needs_open_mpi = pytest.mark.skipif(
    launcher() is None or launcher().kind != "openmpi", reason="ULFM is Open MPI's"
)
SCRIPT = str(ROOT / "examples" / "digits.py")


def machine(kind="openmpi", version=5):
    return Machine(Launcher("/opt/bin/mpirun", kind, version), 4, False, frozenset({"here"}), {})


def test_open_mpi_is_told_to_survive_losses():
    made = launch.plan(JobSpec(4, SCRIPT, elastic=True, frozen_after_s=5), machine())
    assert made.argv[:3] == ["/opt/bin/mpirun", "--with-ft", "ulfm"]
    assert made.env["OMPI_MCA_pml"] == "ob1"
    assert made.env["OMPI_MCA_btl"] == "self,tcp"
    assert made.env["OMPI_MCA_btl_tcp_if_include"] == "127.0.0.1/8"
    assert made.env["OMPI_MCA_mpi_ft_detector_timeout"] == "5"
    assert made.env["DTRAIN_ELASTIC"] == "end"
    assert "DTRAIN_ELASTIC" not in launch.plan(JobSpec(4, SCRIPT), machine()).env


def test_over_hosts_messages_go_by_any_network():
    job = JobSpec(4, SCRIPT, hosts="here:2,there:2", elastic=True, leave_on_error=True)
    made = launch.plan(job, machine())
    assert made.env["OMPI_MCA_btl"] == "self,tcp"
    assert "OMPI_MCA_btl_tcp_if_include" not in made.env
    assert made.env["DTRAIN_ELASTIC"] == "leave"


@pytest.mark.parametrize(("kind", "version"), [("mpich", 0), ("srun", 0), ("openmpi", 4)])
def test_other_mpis_are_refused(kind, version):
    with pytest.raises(LaunchError, match=r"--elastic needs Open MPI 5.*--max-restarts works"):
        launch.plan(JobSpec(4, SCRIPT, elastic=True), machine(kind, version))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leave_on_error": True}, "--leave-on-error needs --elastic"),
        ({"respawn": True}, "--respawn needs --elastic"),
        ({"elastic": True, "frozen_after_s": 0.5}, "--frozen-after must be >= 1 second, got 0.5"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        launch.plan(JobSpec(4, SCRIPT, **options), machine())


RAISES = """
import sys
from dtrain import distributed, optim

step, count = optim.SGD.step, 0

def step_or_raise(self, closure=None):
    global count
    count += 1
    if count == 5 and distributed.rank() == 1 and distributed.world_size() == 3:
        raise ValueError("no more of this")
    return step(self, closure)

optim.SGD.step = step_or_raise
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


@needs_open_mpi
@pytest.mark.parametrize("leaves", [True, False])
def test_a_rank_that_raises_leaves_the_others_or_ends_them(start, undisturbed, tmp_path, leaves):
    (tmp_path / "raises.py").write_text(RAISES.format(path=SCRIPT))
    option = ["--leave-on-error"] if leaves else []
    run = start("-n", 3, "--elastic", *option, "raises.py", "--epochs", 2, "--out", "runs")
    status, out, err = run.end()
    assert err.count("ValueError: no more of this") == 1
    assert "rank 1 on host" in err
    if leaves:
        assert (status, "failed ranks: 1 on" in err, undisturbed in out) == (0, True, True), err
    else:
        assert status not in (0, KILLED_STATUS)
        assert undisturbed not in out


REJOIN = """
import os, signal
from dtrain import distributed, optim
from dtrain.distributed.comm import node_local

share, step, count = node_local._share, optim.SGD.step, 0

def step_or_die(self, closure=None):
    global count
    count += 1
    if (count, distributed.rank()) == (5, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, closure)

def share_or_die(comm, mpi):  # the survivors join each other: MPI has given them new ranks
    if comm.Get_size() == 3 and comm.Get_rank() == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return share(comm, mpi)

node_local._share, optim.SGD.step = share_or_die, step_or_die
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


@needs_open_mpi
def test_a_rank_that_fails_during_a_recovery_takes_no_survivor_with_it(
    start, undisturbed, tmp_path
):
    (tmp_path / "rejoin.py").write_text(REJOIN.format(path=SCRIPT))
    run = start("-n", 4, "--elastic", "rejoin.py", "--epochs", 2, "--out", "runs")
    status, out, err = run.end()
    assert (status, undisturbed in out) == (0, True), err
    assert re.search(r"failed ranks: 1 on \S+, 3 on \S+; 2 survivors go on", err), err


SHARDED = """
import os, signal
import dtrain
from dtrain import distributed, optim

sgd, step, count = optim.SGD, optim.SGD.step, 0
optim.SGD = lambda params, lr, **how: dtrain.ZeroRedundancyOptimizer(params, sgd, lr=lr, **how)

def step_or_die(self, closure=None):
    global count
    count += 1
    if distributed.restart_count() == 0 and (count, distributed.rank()) in {plan}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, closure)

sgd.step = step_or_die
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


def sharded(start, tmp_path, plan, *options):
    """The outcome of digits.py with its optimizer spread over 4 ranks: `plan` says which rank fails in
    which step."""
    (tmp_path / "sharded.py").write_text(SHARDED.format(plan=plan, path=SCRIPT))
    words = ["sharded.py", *SHORT, "--checkpoint-every", 20]
    return start("-n", 4, "--elastic", *options, *words).end()


@needs_open_mpi
@pytest.mark.parametrize(
    "plan",
    [{(30, 1)}, {(30, 0), (30, 2)}, {(10, 3), (25, 0), (40, 1)}],
    ids=["one", "two", "three"],
)
def test_the_shard_of_a_failed_rank_comes_from_its_neighbour(start, tmp_path, undisturbed, plan):
    status, out, err = sharded(start, tmp_path, plan)
    assert (status, weights(out)) == (0, undisturbed), err
    assert len(re.findall(r"(?:failed ranks:|,) \d on", err)) == len(plan)
    assert "restart" not in err


@needs_open_mpi
def test_a_shard_without_a_copy_comes_from_the_checkpoint(start, tmp_path, undisturbed):
    status, out, err = sharded(start, tmp_path, {(30, 2), (30, 3)}, "--max-restarts", 1)
    assert "all ranks that held some shard of the optimizer's state have failed" in err
    assert "resumed this job from runs/step-00000020" in err
    assert (status, weights(out)) == (0, undisturbed), err


WRITER = """
import os, signal
import dtrain
from dtrain import distributed
from dtrain.checkpoint import folder_writer
from dtrain.train import Checkpoints

def sync_or_die(file, sync=folder_writer._sync):
    if "step-00000002" in file.name:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(file)

folder_writer._sync = sync_or_die
distributed.init()
with Checkpoints("runs", {"model": dtrain.nn.Linear(2, 2)}, keep_last=2, monitor="loss") as kept:
    for step, loss in enumerate((0.2, 0.1, 0.3), 1):
        kept.save(step, loss=loss)
if distributed.rank() == 0:
    print(distributed.world_size(), list(kept.state_dict()["figures"]), kept.best)
"""


@needs_open_mpi
def test_a_checkpoint_whose_writer_dies_is_told_and_not_counted(start, tmp_path):
    (tmp_path / "writer.py").write_text(WRITER)
    status, out, err = start("-n", 3, "--elastic", "writer.py").end()
    assert (status, out.strip()) == (0, "2 ['1', '3'] runs/step-00000001"), err
    assert err.count("step-00000002: is not there: the rank that wrote it has failed") == 1
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "step-00000001",
        "step-00000003",
    }
