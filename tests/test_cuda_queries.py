"""Questions about GPUs that scripts ask at their heads, where there is none."""

import pytest

import dtrain

pytestmark = pytest.mark.skipif(dtrain.cuda.is_available(), reason="answers without a GPU")


def test_without_a_gpu_there_is_no_memory_and_no_bfloat16_on_it():
    assert dtrain.cuda.memory_allocated() == dtrain.cuda.memory_reserved("cuda") == 0
    assert not dtrain.cuda.is_bf16_supported()
    dtrain.cuda.empty_cache()
    with pytest.raises(RuntimeError, match="this machine shows 0 CUDA devices"):
        dtrain.cuda.get_device_capability(0)


def test_a_seed_for_gpus_leaves_the_cpus_numbers_alone_as_in_pytorch():
    dtrain.manual_seed(3)
    expected = dtrain.rand(2).tolist()
    dtrain.manual_seed(3)
    dtrain.cuda.manual_seed(4)
    dtrain.cuda.manual_seed_all(5)
    assert dtrain.rand(2).tolist() == expected


def test_running_out_of_memory_is_caught_by_pytorchs_name():
    with pytest.raises(dtrain.cuda.OutOfMemoryError):
        raise MemoryError


def test_a_maximum_that_nobody_keeps_is_refused():
    with pytest.raises(NotImplementedError, match="CuPy keeps no maximum"):
        dtrain.cuda.max_memory_allocated()
