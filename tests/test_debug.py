"""`dtrain debug`: prefixed output, the debugger on one rank, and failures shown once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dtrain import distributed
from dtrain.errors import DesyncError, RankFailedError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def debug(tmp_path):
    def run(source, *options, args=(), keys=""):
        script = tmp_path / "script.py"
        script.write_text(source)
        return subprocess.run(
            [sys.executable, "-m", "dtrain.cli", "debug", *map(str, options), str(script), *args],
            capture_output=True, text=True, timeout=60, input=keys, cwd=ROOT,
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
        "total = sum(d.all_gather(number))\n"
        "print('total', total)\n"
    )
    process = debug(source, "-n", 3, "--rank", 2, keys="p number\nnumber = 1000\ncontinue\n")
    assert "(rank 2) 20" in process.stdout
    assert process.stdout.count("(rank ") == 3  # a prompt for each key, on one rank
    assert [line for line in process.stdout.splitlines() if "total" in line].count(
        "[0] total 1010"
    ) == 1


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
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
            distributed.all_gather(1)

    here = r"\(tests/test_debug.py:\d+ in body\(\)\)"
    message = rf"rank 0 in barrier {here}, rank 1 in allgather for a value {here}"
    with pytest.raises(DesyncError, match=message):
        distributed.run_ranks(2, body)


def test_a_rank_that_fails_ends_the_others():
    def body():
        if distributed.rank() == 2:
            raise ValueError("mine")
        with pytest.raises(RankFailedError, match="which raised ValueError: mine"):
            distributed.barrier()

    with pytest.raises(ValueError, match="mine") as failure:
        distributed.run_ranks(4, body)
    assert failure.value.rank == 2
