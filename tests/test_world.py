"""Joining the world: what was launched, wrongly or not at all."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dtrain import distributed
from dtrain.distributed import world
from dtrain.distributed.launch import JobSpec, plan
from dtrain.errors import LaunchError

ROOT = Path(__file__).parent.parent
INIT = "from dtrain import distributed as d; d.init(); print(d.rank(), d.world_size())"


def test_a_program_that_nobody_launched_is_a_world_of_one(run_python):
    process = run_python("-c", INIT)
    assert process.stdout == "0 1\n"


def test_mpi_is_not_started_in_a_world_of_one(run_python):
    process = run_python("-c", INIT + "; import sys; print('mpi4py.MPI' in sys.modules)")
    assert process.stdout.split()[-1] == "False"


@pytest.mark.parametrize(
    "variable",
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "JSM_NAMESPACE_SIZE", "SLURM_STEP_NUM_TASKS"],
)
def test_the_launcher_of_another_mpi_is_noticed(run_python, variable):
    pytest.importorskip("mpi4py.MPI", exc_type=(ImportError, RuntimeError))
    process = run_python("-c", INIT, **{variable: "4"})
    assert process.returncode == 1
    assert "the launcher started 4 ranks, but" in process.stderr
    assert "sees 1: the launcher belongs to another MPI than the library" in process.stderr


def test_a_launched_program_without_mpi_says_what_to_install(run_python, tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise RuntimeError('cannot load MPI library')")
    process = run_python("-c", INIT, OMPI_COMM_WORLD_SIZE="2", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert process.returncode == 1
    assert "LaunchError: a launcher started this process as one of 2 ranks" in process.stderr
    assert "cannot load MPI library" in process.stderr
    assert "pip install 'dtrain[mpi]'" in process.stderr


SHOW_BLAS_THREADS = """
from threadpoolctl import threadpool_info
def show():
    print({p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"})
import dtrain
from dtrain import distributed
show()
"""
TWO_THREADS = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
LIMITED = (
    "dtrain: BLAS limited to 1 thread for bits that do not depend on the number of ranks; "
    "DTRAIN_THREADS=N to choose"
)


def blas_threads(run_python, program, **environ):
    """What `show()` prints in a program that begins with two BLAS threads, and its stderr."""
    environ = {**TWO_THREADS, "DTRAIN_THREADS": "", **environ}
    process = run_python("-c", SHOW_BLAS_THREADS + program, **environ)
    assert process.returncode == 0, process.stderr
    return process.stdout.split(), process.stderr


def test_getters_and_loaders_leave_blas_threads_alone(run_python):
    program = (
        "distributed.rank(); distributed.world_size(); distributed.local_rank()\n"
        "data = dtrain.data.TensorDataset(dtrain.ones(4, 1))\n"
        "list(dtrain.data.DataLoader(data, batch_size=2))\n"
        "distributed.all_reduce(dtrain.ones(2)); show()"
    )
    shown, err = blas_threads(run_python, program)
    assert shown == ["{2}", "{2}"]
    assert LIMITED not in err


@pytest.mark.parametrize(
    "call", ["dtrain.DataParallel(dtrain.nn.Linear(1, 1))", "distributed.init()"]
)
def test_equal_bits_limit_blas_to_one_thread_and_say_so_once(run_python, call):
    shown, err = blas_threads(run_python, f"{call}; {call}; show()")
    assert shown == ["{2}", "{1}"]
    assert err.count(LIMITED) == 1


def test_the_chosen_number_of_blas_threads_is_set_in_silence(run_python):
    shown, err = blas_threads(run_python, "distributed.init(); show()", DTRAIN_THREADS="1")
    assert (shown, LIMITED in err) == (["{2}", "{1}"], False)
    one = dict.fromkeys(TWO_THREADS, "1")
    shown, err = blas_threads(run_python, "distributed.init(); show()", **one, DTRAIN_THREADS="2")
    assert (shown, LIMITED in err) == (["{1}", "{2}"], False)


def test_a_bad_number_of_threads_is_refused_by_name(run_python):
    process = run_python(
        "-c", "from dtrain import distributed; distributed.rank()", DTRAIN_THREADS="x"
    )
    assert process.returncode == 1
    assert "DTRAIN_THREADS: expected a number of threads >= 1, got 'x'" in process.stderr


def test_threads_each_have_a_world_of_their_own():
    def body():
        inner = distributed.run_ranks(2, lambda: (distributed.rank(), distributed.world_size()))
        return distributed.rank(), inner

    assert distributed.run_ranks(3, body) == [(r, [(0, 2), (1, 2)]) for r in range(3)]


@pytest.mark.slow
def test_a_failing_rank_of_the_suite_ends_it_red_and_soon(tmp_path):
    """A body that fails on one rank only, while the other waits for it."""
    (tmp_path / "test_one.py").write_text(
        "import pytest\nfrom dtrain import distributed\n"
        "@pytest.mark.mpi\ndef test_one():\n"
        "    assert distributed.rank() != 1, 'this rank fails'\n    distributed.barrier()\n"
    )
    process = subprocess.run(
        [sys.executable, "-m", "dtrain.cli", "run", "-n", "2", "-m", "pytest", "-q", "-x",
         "--with-mpi", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, timeout=300, cwd=ROOT,
    )  # fmt: skip
    assert process.returncode != 0
    assert "this rank fails" in process.stdout + process.stderr


def test_an_exception_ends_the_job_even_without_our_runner(tmp_path):
    """As when somebody writes `mpirun -n 2 python script.py` by hand."""
    script = tmp_path / "script.py"
    script.write_text(
        "from dtrain import distributed as d\n"
        "if d.rank() == 1: raise KeyError('lost')\n"
        "d.barrier()\n"
    )
    try:
        launch = plan(JobSpec(2, str(script)))
    except LaunchError as missing:
        pytest.skip(str(missing))
    argv = [word for word in launch.argv if not word.endswith("start_monitor.py")]
    env = {**os.environ, **launch.env, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(argv, capture_output=True, text=True, timeout=300, env=env)
    assert process.returncode != 0
    assert process.stderr.count("KeyError: 'lost'") == 1
    assert "dtrain: rank 1 on host" in process.stderr


def test_the_handler_of_a_signal_is_restored_by_the_main_thread_alone():
    before = signal.getsignal(signal.SIGUSR1)
    with ThreadPoolExecutor(1) as pool:  # where signal.signal() would raise ValueError
        pool.submit(world._restore_python_handler, signal.SIGUSR1).result()
    world._restore_python_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == before
