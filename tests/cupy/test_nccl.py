"""Device arrays between the processes of an MPI job; what the ranks do stands in on_ranks.py."""

import re

import pytest

from dtrain import distributed
from tests.cupy import conftest
from tests.cupy.test_training import trained

on_host_memory = pytest.mark.skipif(not conftest.HOSTED, reason="counted on host memory only")


# Processes take half a minute to start and compile: 3 ranks show what 2 and 4 do.
SIZES = [pytest.param(2, marks=pytest.mark.long), 3, pytest.param(4, marks=pytest.mark.long)]
EXACT = ["all_reduce", "reduce_scatter", "all_gather_slices"]
IN_A_THREAD = [
    "work_on_streams_waits_for_a_reduction_in_a_thread",
    "overlap_and_a_sharded_optimizer_keep_the_bits",
]


@pytest.mark.parametrize("size", SIZES)
def test_bits_are_those_of_the_tree_reduction(size, run_on_ranks):
    assert "host memory" not in run_on_ranks(size, *EXACT)


def test_no_wait_is_missing(run_on_ranks):
    run_on_ranks(3, *EXACT, "reductions_wait_for_no_host", *IN_A_THREAD, HOSTCUDA_LAZY="1")


def test_a_reduction_in_a_thread_waits_for_what_it_reads(run_on_ranks):
    run_on_ranks(2, *IN_A_THREAD, HOSTCUDA_LAZY="default")


@on_host_memory
@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            "each_rank_queues_another_call",
            r"different calls: rank 0 .* of 1000 x .*; rank 1 .* of 1001 x",
            marks=pytest.mark.long,
        ),
        (
            "one_rank_does_not_come",
            r"rank 0 has waited \d s in all_reduce of 1000 x float32 .* for rank 1",
        ),
        pytest.param(
            "one_rank_ends_its_nccl",
            "rank 0 waits in all_reduce of 1000 x float32 .*: NCCL_.*remote process exited",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_rank_for_which_a_gpu_waits_is_named(body, said, run_job):
    job = run_job(2, body, HOSTCUDA_LAZY="1", HOSTCUDA_NCCL_HANGS="1", DTRAIN_STALL_TIMEOUT="3")
    assert job.returncode
    assert re.search(said, job.stderr), job.stderr


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


@on_host_memory
@pytest.mark.parametrize(
    "failures",
    [
        ["2:exchange:1", "0:exchange:2"],
        pytest.param(["0:vote:2"], marks=pytest.mark.long),
        pytest.param(["1:commit:1"], marks=pytest.mark.long),
        ["1:exchange:1", "2:join:2"],
    ],
    ids=",".join,
)
def test_survivors_go_on_over_nccl_to_the_same_bits(failures, run_job):
    (alone,) = distributed.run_ranks(1, trained, "cuda")
    environ = {"HOSTCUDA_NCCL_ASYNC": "1", "HOSTCUDA_NCCL_HANGS": "1"}
    script = "elastic_on_ranks.py"
    job = run_job(4, *failures, script=script, options=["--elastic"], **environ)
    survivors = 4 - len(failures)
    assert f"digests{f' {alone}' * survivors}" in job.stdout.splitlines(), job.stderr
    assert "host memory" not in job.stderr, job.stderr
