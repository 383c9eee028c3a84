"""Programs for torchrun print the same losses by `dtrain run` and `dtrain debug`, on 1 to 3 ranks.

Beside each stands what it prints by torchrun: `UPDATE=1 pytest tests/programs -m oracle` writes it.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .test_programs import assert_same

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "ddp"
CLASSIFIER, LBFGS, SHARDED, SPAWNED = (
    FOLDER / f"{n}.py" for n in ("classifier", "lbfgs", "sharded", "spawned")
)
HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_MPI = importlib.util.find_spec("mpi4py") is not None

on_ranks = pytest.mark.parametrize("ranks", [1, 2, 3])


def printed(*words):
    process = subprocess.run(
        [sys.executable, "-m", *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def expected(ranks, program=CLASSIFIER):
    return FOLDER / f"{program.stem}_{ranks}.txt"


@on_ranks
def test_ranks_as_threads_print_what_torchrun_prints(ranks):
    text = printed("dtrain.cli", "debug", "--as-torch", "-n", ranks, CLASSIFIER)
    assert_same(text.replace("[0] ", ""), expected(ranks).read_text())


def test_lbfgs_takes_the_steps_that_it_takes_by_torchrun():
    text = printed("dtrain.cli", "debug", "--as-torch", "-n", 2, LBFGS)
    assert_same(text.replace("[0] ", ""), expected(2, LBFGS).read_text())


@on_ranks
def test_sharded_models_have_the_losses_that_they_have_by_torchrun(ranks):
    text = printed("dtrain.cli", "debug", "--as-torch", "-n", ranks, SHARDED)
    assert_same(text.replace("[0] ", ""), expected(ranks, SHARDED).read_text())


@pytest.mark.skipif(not HAS_MPI, reason="mpi4py is not installed")
def test_dtrain_run_prints_what_torchrun_prints():
    text = printed("dtrain.cli", "run", "--as-torch", "-n", 2, CLASSIFIER)
    assert_same(text, expected(2).read_text())


@pytest.mark.skipif(not HAS_MPI, reason="mpi4py is not installed")
def test_spawn_starts_ranks(tmp_path):
    assert printed("dtrain.as_torch", SPAWNED, tmp_path / "weights") == "done\n"
    assert_same((tmp_path / "weights").read_text(), (FOLDER / "spawned.txt").read_text())


@pytest.mark.oracle
@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
@pytest.mark.parametrize("ranks", [1, 2, 3] if os.environ.get("UPDATE") else [2])  # 5 s each
@pytest.mark.parametrize("program", [CLASSIFIER, LBFGS, SHARDED], ids=lambda path: path.stem)
def test_torchrun_prints_what_is_expected(program, ranks):
    if program is LBFGS and ranks != 2:
        pytest.skip("its losses on two ranks are enough")
    text = printed("torch.distributed.run", "--standalone", "--nproc_per_node", ranks, program)
    if os.environ.get("UPDATE"):
        expected(ranks, program).write_text(text)
    assert_same(text, expected(ranks, program).read_text())


@pytest.mark.oracle
@pytest.mark.skipif(not os.environ.get("UPDATE"), reason="takes long: UPDATE=1 runs it")
def test_pytorchs_spawn_trains_what_is_expected(tmp_path):
    out = tmp_path / "weights"
    subprocess.run([sys.executable, SPAWNED, out], check=True, timeout=300)
    if os.environ.get("UPDATE"):
        (FOLDER / "spawned.txt").write_text(out.read_text())
    assert_same(out.read_text(), (FOLDER / "spawned.txt").read_text())
