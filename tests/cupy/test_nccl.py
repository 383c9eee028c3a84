"""Device arrays between the processes of an MPI job; what the ranks do stands in on_ranks.py."""

import os
import shutil
import sys
from pathlib import Path

import pytest

import dtrain
from tests.cupy import conftest

SCRIPT = Path(__file__).with_name("on_ranks.py")


@pytest.fixture
def run_on_ranks(run_python):
    """Runs bodies of on_ranks.py on so many ranks; gives what they wrote on stderr."""
    bin_folder = str(Path(sys.executable).parent)
    if not shutil.which("mpirun", path=bin_folder + os.pathsep + os.environ["PATH"]):
        pytest.skip("no mpirun")

    def run(size, *bodies, **environ):
        if not conftest.HOSTED and dtrain.cuda.device_count() < size:
            pytest.skip(f"NCCL needs a GPU for each of the {size} ranks")
        job = run_python("-m", "dtrain.cli", "run", "-n", size, SCRIPT, *bodies, **environ)
        assert f"passed on {size} ranks" in job.stdout, job.stderr
        return job.stderr

    return run


on_host_memory = pytest.mark.skipif(not conftest.HOSTED, reason="counted on host memory only")


# Processes take half a minute to start and compile: 3 ranks show what 2 and 4 do.
SIZES = [pytest.param(2, marks=pytest.mark.long), 3, pytest.param(4, marks=pytest.mark.long)]
EXACT = ["all_reduce", "reduce_scatter", "all_gather_slices"]


@pytest.mark.parametrize("size", SIZES)
def test_bits_are_those_of_the_tree_reduction(size, run_on_ranks):
    assert "host memory" not in run_on_ranks(size, *EXACT)


def test_no_wait_is_missing(run_on_ranks):
    run_on_ranks(3, *EXACT, "reductions_wait_for_no_host", HOSTCUDA_LAZY="1")


def test_nccls_own_order_other_communicators_and_other_devices(run_on_ranks):
    run_on_ranks(
        3,
        "native_all_reduce",
        "a_second_thread_has_a_communicator_of_its_own",
        "a_model_on_another_kind_of_device_is_refused",
    )


def test_sync_batch_norm_is_that_of_the_host(run_on_ranks):
    run_on_ranks(3, "sync_batch_norm")


@on_host_memory
@pytest.mark.parametrize("size", SIZES[:2])
def test_what_is_called_and_copied(size, run_on_ranks):
    run_on_ranks(
        size,
        "no_byte_of_an_array_passes_through_the_host",
        "no_gradient_of_a_step_passes_through_the_host",
        "statistics_are_those_of_one_rank",
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("host_memory_where_one_rank_has_no_nccl", "rank 1: CuPy finds no NCCL library: pip"),
        ("host_memory_where_nccl_refuses", "NCCL needs a GPU for each rank"),
    ],
)
@on_host_memory
def test_without_nccl_arrays_pass_through_host_memory(body, reason, run_on_ranks):
    said = run_on_ranks(2, body)
    assert said.count("dtrain: device arrays pass between the ranks through host memory") == 1
    assert reason in said


def test_each_rank_of_a_machine_has_a_gpu_of_its_own(run_on_ranks):
    run_on_ranks(
        3,
        "each_rank_has_a_gpu",
        "overlap_and_a_sharded_optimizer_keep_the_bits",
        HOSTCUDA_DEVICES="2",
    )
