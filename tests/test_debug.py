"""`dtrain debug`: prefixed output, the debugger on one rank, replays, and failures shown once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dtrain
from dtrain import distributed
from dtrain.errors import DesyncError, RankFailedError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture
def debug(tmp_path):
    def run(source, *options, args=(), keys="", **streams):
        script = tmp_path / "script.py"
        script.write_text(source)
        return subprocess.run(
            [sys.executable, "-m", "dtrain.cli", "debug", *map(str, options), str(script), *args],
            capture_output=True, text=True, timeout=300, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, **streams or {"input": keys},
        )  # fmt: skip

    return run


def test_each_line_begins_with_its_rank(debug):
    process = debug(
        "import sys\nfrom dtrain import distributed as d\n"
        "print('rank', d.rank(), 'of', d.world_size(), sys.argv[1:])\n"
        "sys.stdout.write('no newline at the end')",
        "-n", 3, args=["--epochs", "2"],
    )  # fmt: skip
    assert sorted(process.stdout.splitlines()) == sorted(
        [f"[{r}] rank {r} of 3 ['--epochs', '2']" for r in range(3)]
        + [f"[{r}] no newline at the end" for r in range(3)]
    )


def test_breakpoint_stops_one_rank_and_sees_its_variables(debug):
    source = (
        "from dtrain import distributed as d\n"
        "number = 10 * d.rank()\n"
        "breakpoint()\n"
        "import dtrain\ntotal = d.all_reduce(dtrain.tensor(number)).item()\n"
        "print('total', total)\n"
    )
    process = debug(source, "-n", 3, "--rank", 2, keys="p number\nnumber = 1000\ncontinue\n")
    assert "(rank 2) 20" in process.stdout
    assert process.stdout.count("(rank ") == 3  # a prompt for each key, on one rank
    # The last prompt, which no key ends, stands before what any rank prints first.
    lines = [line.rpartition("(rank 2) ")[2] for line in process.stdout.splitlines()]
    assert lines.count("[0] total 1010") == 1


def test_an_exception_is_shown_once_with_its_rank_and_the_scripts_frames(debug):
    source = (
        "from dtrain import distributed as d\n"
        "def fail():\n    raise KeyError('lost')\n"
        "if d.rank() == 1:\n    fail()\n"
        "d.barrier()\n"
    )
    process = debug(source, "-n", 4)
    assert process.returncode == 1
    assert process.stderr.startswith("rank 1: Traceback")
    assert process.stderr.count("Traceback") == 1
    assert process.stderr.rstrip().endswith("KeyError: 'lost'")
    assert "threads.py" not in process.stderr


def test_a_rank_that_left_is_named(debug):
    process = debug(
        "from dtrain import distributed as d\nif d.rank() == 1: raise SystemExit(0)\nd.barrier()\n",
        "-n", 2,
    )  # fmt: skip
    assert process.returncode == 1
    assert re.search(
        r"rank 0 waited in barrier \(.*script.py:3\) for rank 1, which has ended", process.stderr
    )


def test_the_exit_status_is_the_scripts(debug):
    assert debug("raise SystemExit(3)", "-n", 2).returncode == 3
    refused = debug("raise SystemExit('no data')", "-n", 2)
    assert refused.returncode == 1
    assert refused.stderr == "no data\n"


BARRIER = "import sys; import dtrain; from dtrain import distributed as d\n{}\nd.barrier()\n"


def test_what_ranks_raise_besides_has_a_line(debug):
    source = "if d.rank() == 1: raise KeyError('one')\nif d.rank() > 1: raise ValueError('more')"
    process = debug(BARRIER.format(source), "-n", 4)
    assert process.stderr.count("Traceback") == 1
    assert "KeyError: 'one'" in process.stderr
    assert "ValueError: more" in process.stderr
    assert set(
        re.findall(r"\d", " ".join(re.findall("^ranks? [^:]*", process.stderr, re.M)))
    ) == set("123")
    assert "waited" not in process.stderr


def test_what_all_ranks_raise_is_shown_once(debug):
    process = debug("raise ValueError('same')", "-n", 3)
    assert re.match(r"rank (\d): Traceback", process.stderr)
    assert re.search(r"^ranks \d, \d: the same$", process.stderr, re.M)
    assert process.stderr.count("ValueError: same") == 1


@pytest.mark.parametrize(
    ("source", "status", "message"),
    [
        ("if d.rank() == 1: sys.exit(3)", 3, "rank 1: SystemExit: 3 ("),
        ("if d.rank() == 1: sys.exit('no data')", 1, "rank 1: no data\n"),
        ("if d.rank() == 1: raise KeyboardInterrupt", 1, "rank 1: Traceback"),
        ("if d.rank() == 1: dtrain.ones(2) + dtrain.ones(3)", 1, "rank 1: Traceback"),
    ],
    ids=["status", "message", "KeyboardInterrupt", "of dtrain"],
)
def test_however_a_rank_ends_it_is_named_and_those_who_wait_are_not(debug, source, status, message):
    process = debug(BARRIER.format(source), "-n", 3)
    assert process.returncode == status
    assert process.stderr.startswith(message)
    assert "waited" not in process.stderr
    if "Traceback" in message:
        assert source in process.stderr  # the line of the script


def test_the_cause_is_shown_too_and_waiting_is_no_cause(debug):
    source = (
        "if d.rank() == 1:\n"
        "    try: {}['key']\n"
        "    except KeyError as cause: raise RuntimeError('mine') from cause\n"
        "try: d.barrier()\n"
        "except d.RankFailedError as cause: raise RuntimeError('theirs') from cause"
    ).replace("d.Rank", "dtrain.errors.Rank")
    stderr = debug(BARRIER.format(source), "-n", 3).stderr
    assert stderr.index("KeyError: 'key'") < stderr.index("direct cause") < stderr.index("mine")
    assert stderr.startswith("rank 1: ")
    assert "theirs" not in stderr
    assert "waited" not in stderr


def test_a_rank_that_waits_while_it_handles_its_own_failure(debug):
    source = (
        "try:\n    if d.rank() == 1: raise ValueError('mine')\n"
        "    d.all_gather_object([0, 0, 0], 1)\nfinally:"
    )
    process = debug(BARRIER.format(source).replace("\nd.barrier", "\n    d.barrier"), "-n", 3)
    assert "ValueError: mine" in process.stderr.split("rank 0:")[0].split("rank 2:")[0]
    assert "waited" not in process.stderr


def test_quitting_the_debugger_ends_the_script_without_a_traceback(debug):
    process = debug(BARRIER.format("breakpoint()"), "-n", 3, keys="quit\n")
    assert process.returncode == 1
    assert process.stderr == ""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals that a program can open")
@pytest.mark.parametrize(("options", "stops"), [(["--rank", 1], 1), (["--rank", 0], 0), ([], 0)])
def test_on_a_terminal_the_debugger_opens_where_its_rank_raised(debug, options, stops):
    source = "def load(number):\n    raise KeyError(number)\nif d.rank() == 1: load(42)"
    control, terminal = os.openpty()
    try:
        os.write(control, b"p number + 1\nup\nquit\n")
        process = debug(BARRIER.format(source), "-n", 3, *options, stdin=terminal)
    finally:
        os.close(control)
        os.close(terminal)
    assert process.returncode == 1
    assert process.stdout.count("(rank 1) 43") == stops
    assert process.stdout.count("-> if d.rank() == 1: load(42)") == stops
    assert process.stderr.startswith("rank 1: Traceback")
    assert process.stderr.count("KeyError: 42") == 1


TRAIN = """
import sys
import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest, resume, save_checkpoint
from dtrain.data import DataLoader, TensorDataset

dtrain.manual_seed(0)
data = TensorDataset(dtrain.randn(40, 3))
loader = DataLoader(data, 2, shuffle=True, microbatches=4)
model = DataParallel(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1)))
optimizer = dtrain.optim.SGD(model.parameters(), 0.1, momentum=0.9)
job = dict(model=model, optimizer=optimizer, loader=loader)
steps = resume("runs", *sys.argv[1:], **job)


def evaluate():
    with dtrain.no_grad():
        for (x,) in DataLoader(data, 1):
            model(x)


for epoch in range(loader.epoch, 3):
    for step in loader.steps():
        for (x,) in step:
            model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
        if steps % 4 == 0:
            save_checkpoint("runs", steps, **job)
    evaluate()
if distributed.rank() == 0:
    print("digest", digest(model.module.state_dict()))
"""


def digest(process):
    assert process.returncode == 0, process.stderr
    return re.search(r"digest ([0-9a-f]{64})", process.stdout)[1]


@pytest.fixture
def trained(debug, tmp_path):
    """What the script of the cluster's run prints; its checkpoints are in runs/."""
    process = debug(TRAIN, "-n", 2)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [
        "step-00000004", "step-00000008", "step-00000012"
    ]  # fmt: skip
    return digest(process)


@pytest.mark.parametrize(("ranks", "rank"), [(1, 0), (3, 2)])
def test_the_debugger_opens_before_a_step_in_the_loop_of_the_script(debug, ranks, rank):
    keys = "p 'made', steps\nnext\np tuple(x.shape)\ncontinue\n"
    process = debug(TRAIN, "-n", ranks, "--rank", rank, "--step", 7, keys=keys)
    assert f"(rank {rank}) ('made', 7)" in process.stdout
    first, second = re.findall(r"^.*> .*script\.py.*\n-> (.*)", process.stdout, re.M)
    assert first == "for (x,) in step:"
    assert second == "model(x).square().mean().backward()"
    assert f"(rank {rank}) (2, 3)" in process.stdout
    assert digest(process) == digest(debug(TRAIN))


def test_the_debugger_opens_in_a_loop_over_the_loader_itself(debug):
    source = (
        "import dtrain\nfrom dtrain.data import DataLoader\n"
        "for epoch in range(2):\n"
        "    for number, x in enumerate(DataLoader(list(range(4)))): print('batch', x.tolist())\n"
    )
    process = debug(source, "--step", 0, keys="next\ncontinue\ncontinue\n")
    assert process.stdout.count("-> for number, x in enumerate") == 3  # in each loop; by next once
    before = process.stdout.partition("(rank 0)")[0]
    assert "[0] batch" not in before
    assert process.returncode == 0


def test_one_comes_to_breakpoints_and_steps_by_next(debug):
    source = (
        "import dtrain\nfrom dtrain.data import DataLoader\nbreakpoint()\nfirst = 1\n"
        "for x in DataLoader(list(range(2))):\n    breakpoint()\n    second = 2\n"
    )
    process = debug(source, "--step", 0, keys="next\n" * 6 + "continue\ncontinue\n")
    at = [
        "first = 1",
        "for x in DataLoader(list(range(2))):",
        "for x in DataLoader(list(range(2))):",  # --step
        "second = 2",
    ]
    lines = re.findall(r"-> (.*)", process.stdout)
    assert [line for line in lines if line != "breakpoint()"][:4] == at  # as of Python 3.13 there
    assert all("script.py" in place for place in re.findall(r"> (\S+)\(\d+\)", process.stdout))
    assert process.returncode == 0


def test_a_step_that_is_never_begun_is_told_of(debug):
    process = debug(TRAIN, "-n", 2, "--step", 99)
    assert process.returncode == 1
    assert "--step 99: rank 0 began steps 0 to 14: the debugger never opened" in process.stderr
    process = debug("print('no loader')", "--step", 0)
    assert "--step 0: rank 0 began no step" in process.stderr


@pytest.mark.parametrize("given", [[], ["runs/step-00000004"]])
def test_a_replay_begins_at_the_checkpoint_and_comes_to_the_same_bits(
    debug, trained, tmp_path, given
):
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*")}
    process = debug(
        TRAIN, "-n", 4, "--replay", "runs/step-00000008", "--step", 8,
        keys="p 'made', steps\nc\n", args=given,
    )  # fmt: skip
    assert "(rank 0) ('made', 8)" in process.stdout
    assert digest(process) == trained
    checkpoint = tmp_path / "runs" / "step-00000008"
    assert f"[0] dtrain: replaying from {checkpoint}; no checkpoint is written" in process.stderr
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*")} == before


def test_a_replay_reaches_load_checkpoint_once(debug, trained):
    loads = TRAIN.replace(
        'steps = resume("runs", *sys.argv[1:], **job)',
        "from dtrain.checkpoint import load_checkpoint\n"
        'steps = load_checkpoint("runs/step-00000004", **job)\n'
        'assert steps == 12; steps = load_checkpoint("runs/step-00000004", **job)',
    )
    process = debug(loads, "-n", 2, "--replay", "runs")
    assert digest(process) == trained  # from step 4, which was asked for second


def test_a_replay_that_the_script_does_not_ask_for(debug, trained):
    process = debug("print('ran')", "-n", 2, "--replay", "runs")
    assert process.returncode == 1
    assert (
        "the script never called dtrain.checkpoint.resume(): nothing was replayed" in process.stderr
    )


def test_a_replay_of_what_is_not_whole_is_refused_with_one_that_is(debug, trained, tmp_path):
    (tmp_path / "runs/step-00000012/model.safetensors").write_bytes(b"cut")
    for path in ("runs", "runs/step-00000012", "runs/step-00000099"):
        process = debug("print('ran')", "--replay", path)
        assert process.returncode == 2
        assert process.stdout == ""
        assert process.stderr.endswith(
            "The newest intact checkpoint is step-00000008: resume with runs/step-00000008\n"
        )
    process = debug("print('ran')", "--replay", "nowhere")
    assert "nowhere: is no checkpoint and holds none" in process.stderr


def test_a_replay_of_another_scripts_checkpoint_is_refused(debug, trained):
    other = TRAIN.replace("nn.Linear(4, 1)", "nn.Linear(4, 2)")
    process = debug(other, "-n", 2, "--replay", "runs/step-00000004")
    assert process.returncode == 1
    assert "its model does not fit this program's model" in process.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "2", "--step", "-1"], "--step must be >= 0, the number of steps made"),
        (["-n", "2", "--rank", "-1"], "--rank must be one of the 2 ranks, 0 to 1: -1"),
        (["-n", "0"], "-n must be >= 1, got 0"),
        (["-n", "2", "--rank", "2"], "--rank must be one of"),
    ],
)
def test_bad_options_are_refused(debug, options, message):
    process = debug("print('ran')", *options)
    assert process.returncode == 2
    assert message in process.stderr
    assert "ran" not in process.stdout


def test_a_script_that_is_missing_or_does_not_compile(debug, run_python):
    assert (
        "no-script.py: no such file"
        in run_python("-m", "dtrain.cli", "debug", "no-script.py").stderr
    )
    assert "SyntaxError" in debug("def").stderr


def test_ranks_in_different_calls_are_named():
    def body():
        if distributed.rank() == 0:
            distributed.barrier()
        else:
            distributed.all_reduce(dtrain.ones(2))

    here = r"\(tests/test_debug.py:\d+ in body\(\)\)"
    call = r"allgather for all_reduce \(SUM\) of \(2,\) float32"
    message = rf"rank 0 in barrier {here}, rank 1 in {call} {here}"
    with pytest.raises(DesyncError, match=message):
        distributed.run_ranks(2, body)


def test_messages_that_nobody_sends_are_named():
    def body():
        if distributed.rank() == 0:
            distributed.recv(dtrain.ones(1), 1)
        elif distributed.rank() == 1:
            distributed.recv(dtrain.ones(1), 0)

    here = r"\(tests/test_debug.py:\d+ in body\(\)\)"
    with pytest.raises(DesyncError, match=rf"rank 0 in recv from rank 1 {here}, rank 1 in recv"):
        distributed.run_ranks(3, body)
    with pytest.raises(
        RankFailedError, match=rf"recv from rank 1 {here} for rank 1, which has end"
    ):
        distributed.run_ranks(2, lambda: distributed.rank() or body())


def test_a_rank_that_fails_ends_the_others():
    def body():
        if distributed.rank() == 2:
            raise ValueError("mine")
        with pytest.raises(RankFailedError, match="which raised ValueError: mine"):
            distributed.barrier()

    with pytest.raises(ValueError, match="mine") as failure:
        distributed.run_ranks(4, body)
    assert failure.value.rank == 2


@pytest.mark.parametrize("name", ["package.train", "package"])
def test_a_module_runs_with_its_relative_imports(run_python, tmp_path, name):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "sibling.py").write_text("VALUE = 41\n")
    script = "import sys\nfrom .sibling import VALUE\nprint(VALUE, sys.argv[1:], __name__)\n"
    (tmp_path / "package" / ("train.py" if "." in name else "__main__.py")).write_text(script)
    process = run_python("-m", "dtrain.cli", "debug", "-n", "2", "-m", name, "--x")
    told = sorted(process.stdout.splitlines())  # the ranks print at the same time
    assert told == [f"[{rank}] 41 ['--x'] __main__" for rank in range(2)], process.stderr


@pytest.mark.parametrize("name", ["absent", "absent.train", "json", ".train"])
def test_a_module_that_is_missing_is_refused(run_python, name):
    process = run_python("-m", "dtrain.cli", "debug", "-m", name)
    assert process.returncode == 2
    assert f"dtrain debug: -m {name}: no such module" in process.stderr
