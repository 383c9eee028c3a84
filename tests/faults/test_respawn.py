"""`dtrain run --elastic --respawn`: from the next checkpoint on, all ranks are there again."""

import pytest

from .conftest import DIGITS, SHORT, launcher, weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        launcher() is None or launcher().kind != "openmpi", reason="ULFM is Open MPI's"
    ),
]
# digits.py, of which ranks are killed: (start, step of the start, number of ranks, rank).
KILLED = """
import atexit, os, signal
from dtrain import distributed, optim

plan = {plan}
step, count = optim.SGD.step, 0

def step_or_die(self, closure=None):
    global count
    count += 1
    if (distributed.restart_count(), count, distributed.rank()) in plan:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, closure)

def say():
    if distributed.rank() == 0:
        print(f"{{count}} steps, {{distributed.world_size()}} ranks at the end", flush=True)

optim.SGD.step = step_or_die
atexit.register(say)
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""
BACK = "dtrain run: ranks failed: restarting the job with all ranks, from its checkpoint"


def said(text):
    """What the job told, without the names of hosts."""
    return [line.partition(" on ")[0] for line in text.splitlines() if line.startswith("dtrain")]


@pytest.mark.parametrize(
    "ranks", [{0}, *(pytest.param(ranks, marks=pytest.mark.long) for ranks in ({2}, {0, 1, 3}))]
)
def test_failed_ranks_are_back_after_the_next_checkpoint(start, tmp_path, undisturbed, ranks):
    plan = {(0, 13, rank) for rank in ranks} | {(1, 5, 1)}
    (tmp_path / "killed.py").write_text(KILLED.format(plan=plan, path=str(DIGITS)))
    run = start("-n", 4, "--elastic", "--respawn", "killed.py", *SHORT, "--checkpoint-every", 10)
    status, out, err = run.end()
    assert (status, weights(out)) == (0, undisturbed), err
    lines = [line for line in said(err) if "failed ranks: " not in line]
    resumed = "dtrain: resumed this job from runs/step-000000"
    assert lines == [BACK, f"{resumed}20", BACK, f"{resumed}30"]
    assert "16 steps, 4 ranks at the end" in out
    run.nothing_is_left()
