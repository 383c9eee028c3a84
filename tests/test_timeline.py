"""The timeline of a run: whole, ordered, nested, of every rank; on threads and under mpirun."""

import json
import os
from collections import defaultdict

import pytest

from dtrain.distributed import launch
from dtrain.errors import LaunchError

pytestmark = pytest.mark.slow

STEPS, RANKS = 3, 2
SCRIPT = f"""
import dtrain
from dtrain.data import DataLoader, TensorDataset
from dtrain import distributed as d

layers = dtrain.nn.Sequential(dtrain.nn.Linear(4, 4), dtrain.nn.Linear(4, 1))
model = dtrain.DataParallel(layers, overlap=OVERLAP)
optimizer = dtrain.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(dtrain.ones({STEPS} * 4, 4)), 2, microbatches={RANKS})
for (x,) in loader:
    model(x).sum().backward()
    optimizer.step()
if d.rank() == 1:
    END
d.barrier()
"""


def has_launcher():
    try:
        return bool(launch.find_launcher(os.environ))
    except LaunchError:
        return False


under_mpi = pytest.param("run", marks=pytest.mark.skipif(not has_launcher(), reason="no MPI"))
commands = pytest.mark.parametrize("command", ["debug", under_mpi])


@pytest.fixture
def trace(run_python, tmp_path):
    """Runs the script; gives the finished process and the spans of each rank's threads."""

    def trace(command, overlap=False, end="pass"):
        source = SCRIPT.replace("OVERLAP", str(overlap)).replace("END", end)
        (tmp_path / "script.py").write_text(source)
        words = ["-n", RANKS, "--trace", "out.json", "script.py"]
        process = run_python("-m", "dtrain.cli", command, *words)
        events = json.loads((tmp_path / "out.json").read_text())["traceEvents"]
        threads = {
            (e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"
        }
        rows = defaultdict(list)
        for event in events:
            if event["ph"] == "X":
                rows[event["pid"], threads[event["pid"], event["tid"]]].append(event)
        assert os.listdir(tmp_path).count("out.json") == 1
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".out")]
        return process, rows

    return trace


def is_nested(row):
    """Whether the spans are in order, and each ends within those that it began in."""
    ends = []
    for span in row:
        while ends and ends[-1] <= span["ts"]:
            ends.pop()
        end = span["ts"] + span["dur"]
        if ends and end > ends[-1] + 1e-3:  # microseconds, of which floats lose the last digits
            return False
        ends.append(end)
    return [span["ts"] for span in row] == sorted(span["ts"] for span in row)


def inside(row, name):
    """The names of the spans within the first of that name."""
    outer = next(span for span in row if span["name"] == name)
    return [
        span["name"]
        for span in row
        if span is not outer and outer["ts"] <= span["ts"] < outer["ts"] + outer["dur"]
    ]


@commands
def test_each_rank_has_its_spans(trace, command):
    process, rows = trace(command)
    assert process.returncode == 0, process.stderr
    assert set(rows) == {(rank, "program") for rank in range(RANKS)}
    for row in rows.values():
        names = [span["name"] for span in row]
        assert is_nested(row)
        for name in ("load", "forward", "backward", "reduce bucket 0", "optimizer step"):
            assert names.count(name) == STEPS
        step = [n for n in names if n in ("load", "forward", "backward", "optimizer step")]
        assert step == ["load", "forward", "backward", "optimizer step"] * STEPS
        within = inside(row, "backward")
        assert within[0] == "allgather for the end of a step"
        assert within[1:3] == ["reduce bucket 0", "all_reduce of 25 x float32"]


@commands
def test_reductions_that_overlap_have_a_row_of_their_own(trace, command):
    process, rows = trace(command, overlap=True)
    assert process.returncode == 0, process.stderr
    assert set(rows) == {(r, row) for r in range(RANKS) for row in ("program", "reduction")}
    for rank in range(RANKS):
        names = [span["name"] for span in rows[rank, "program"]]
        assert names.count("wait for bucket 0") == STEPS
        reductions = rows[rank, "reduction"]
        assert [s["name"] for s in reductions].count("reduce bucket 0") == STEPS
        assert is_nested(reductions)


@commands
def test_ranks_share_a_clock(trace, command):
    """No rank has left the barrier before all have come to it."""
    _, rows = trace(command)
    barriers = [next(s for s in row if s["name"] == "barrier") for row in rows.values()]
    last_to_come = max(span["ts"] for span in barriers)
    assert all(span["ts"] + span["dur"] >= last_to_come for span in barriers)


@commands
def test_a_rank_that_raises_leaves_its_part(trace, command):
    process, rows = trace(command, end='raise KeyError("mine")')
    assert process.returncode == 1
    assert process.stderr.count("KeyError: 'mine'") == 1
    assert [span["name"] for span in rows[1, "program"]].count("optimizer step") == STEPS


@pytest.mark.skipif(not has_launcher(), reason="no MPI")
def test_a_rank_that_leaves_with_a_status_leaves_its_part(trace):
    process, rows = trace("run", end="raise SystemExit(3)")
    assert process.returncode == 3, process.stderr
    assert set(rows) == {(1, "program")}
    assert [span["name"] for span in rows[1, "program"]].count("optimizer step") == STEPS


@commands
def test_a_folder_that_is_missing_is_refused(run_python, tmp_path, command):
    (tmp_path / "script.py").touch()
    words = ["-n", 2, "--trace", "nowhere/out.json", "script.py"]
    process = run_python("-m", "dtrain.cli", command, *words)
    assert process.returncode == 2
    assert "--trace nowhere/out.json: no such folder: nowhere" in process.stderr


OTHER_MACHINES = """
import os
from dtrain.distributed.trace import clock
from dtrain.distributed.world import communicator

clock._boot_id = lambda: os.urandom(8).hex()
print("offset", communicator().clock_offset_ns())
"""


@pytest.mark.skipif(not has_launcher(), reason="no MPI")
def test_the_clock_of_another_machine_is_asked_for(run_python, tmp_path):
    (tmp_path / "script.py").write_text(OTHER_MACHINES)
    process = run_python("-m", "dtrain.cli", "run", "-n", 2, "script.py")
    offsets = [int(line.split()[1]) for line in process.stdout.splitlines() if "offset" in line]
    assert 0 in offsets  # rank 0's own
    assert any(offsets)
    assert all(abs(offset) < 1e9 for offset in offsets)  # it is one machine, after all
