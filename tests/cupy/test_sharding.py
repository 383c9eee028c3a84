"""Sharded training on CuPy; what the ranks do stands in shard_on_ranks.py."""

import pytest

BODIES = [
    "training_gives_the_bits_of_data_parallel",
    "gradients_and_state_are_in_parts",
    "values_are_written_and_loaded",
    "checkpoints_go_on_anywhere",
]


@pytest.mark.parametrize("lazy", ["", "1", pytest.param("default", marks=pytest.mark.long)])
def test_sharded_models_on_3_gpus(lazy, run_on_ranks):
    run_on_ranks(3, *BODIES, script="shard_on_ranks.py", HOSTCUDA_LAZY=lazy)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.long
def test_sharded_models_on_other_numbers_of_gpus(size, run_on_ranks):
    run_on_ranks(size, *BODIES, script="shard_on_ranks.py")
