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


def test_without_a_gpu_sizes_are_0_and_lists_empty_as_in_pytorch():
    cuda = dtrain.cuda
    assert cuda.max_memory_allocated() == cuda.max_memory_reserved() == cuda.device_count() == 0
    assert cuda.memory_stats() == {}
    assert cuda.get_rng_state_all() == cuda.get_arch_list() == []
    cuda.set_rng_state_all([])
    assert not cuda.is_initialized()
    with cuda.device(-1), cuda.device(None), cuda.device_of(dtrain.ones(2)), cuda.stream(None):
        assert dtrain.ones(2).sum().item() == 2


@pytest.mark.parametrize(
    "ask",
    [
        lambda cuda: cuda.synchronize(),
        lambda cuda: cuda.init(),
        lambda cuda: cuda.Stream(),
        lambda cuda: cuda.Event(enable_timing=True),
        lambda cuda: cuda.current_stream(),
        lambda cuda: cuda.get_device_name(),
        lambda cuda: cuda.get_device_properties(0),
        lambda cuda: cuda.mem_get_info(),
        lambda cuda: cuda.reset_peak_memory_stats(),
        lambda cuda: cuda.get_rng_state(),
        lambda cuda: cuda.device(0).__enter__(),
        lambda cuda: cuda.nvtx.range_push("forward"),
        lambda cuda: cuda.FloatTensor(2),
        lambda cuda: cuda.set_per_process_memory_fraction(0.5),
    ],
)
def test_what_needs_a_gpu_says_so_when_it_is_called(ask):
    with pytest.raises(RuntimeError, match="this machine shows 0 CUDA devices to CuPy"):
        ask(dtrain.cuda)


def test_the_accelerator_is_none_and_says_so():
    accelerator = dtrain.accelerator
    assert not accelerator.is_available()
    assert accelerator.current_accelerator() is None
    assert accelerator.device_count() == 0
    for ask in (accelerator.synchronize, accelerator.current_device_index):
        with pytest.raises(RuntimeError, match="accelerator: this machine shows no CUDA devices"):
            ask()
    with pytest.raises(RuntimeError, match="ask is_available"):
        accelerator.set_device_index(0)
