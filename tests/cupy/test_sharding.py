"""Sharded training on CuPy; what the ranks do stands in shard_on_ranks.py."""

import pytest

from tests.cupy import conftest

BODIES = [
    "training_gives_the_bits_of_data_parallel",
    "gradients_and_state_are_in_parts",
    "values_are_written_and_loaded",
    "ranks_read_without_each_other",
    "writes_are_refused",
    "units_compute_in_another_dtype",
    "checkpoints_go_on_anywhere",
    "offloaded_models_have_the_bits_of_one_rank",
    "programs_for_fsdp",
]


@pytest.mark.parametrize("lazy", ["", "1", pytest.param("default", marks=pytest.mark.long)])
def test_sharded_models_on_3_gpus(lazy, run_on_ranks):
    run_on_ranks(3, *BODIES, script="shard_on_ranks.py", HOSTCUDA_LAZY=lazy)


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.long
def test_sharded_models_on_other_numbers_of_gpus(size, run_on_ranks):
    run_on_ranks(size, *BODIES, script="shard_on_ranks.py")


@pytest.mark.skipif(not conftest.HOSTED, reason="counted on host memory only")
def test_memory_and_waiting(run_on_ranks):
    bodies = "values_are_freed_and_gathered", "no_step_waits_for_the_gpu"
    run_on_ranks(3, *bodies, script="shard_on_ranks.py")


def test_ranks_that_are_threads(run_on_ranks):
    run_on_ranks(1, "threads_give_the_bits_of_data_parallel", script="shard_on_ranks.py")


def test_gpus_that_cannot_read_each_other(run_on_ranks):
    body = "gpus_that_cannot_read_each_other_have_all_values"
    run_on_ranks(2, body, script="shard_on_ranks.py")
