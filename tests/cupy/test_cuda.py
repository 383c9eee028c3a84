"""dtrain.cuda and dtrain.accelerator where there is a GPU, or host memory that acts as one."""

import pytest

import dtrain
from dtrain.backend.kernels.cuda import cublas

cuda = dtrain.cuda


def test_a_gpu_has_a_name_memory_and_a_capability():
    found = cuda.get_device_properties(0)
    assert cuda.get_device_name() == cuda.get_device_name("cuda:0") == found.name
    assert cuda.get_device_capability() == (found.major, found.minor)
    free, total = cuda.mem_get_info()
    assert 0 < free <= total == found.total_memory
    assert cuda.get_arch_list() == [f"sm_{found.major}{found.minor}"]
    assert dtrain.accelerator.current_accelerator() == dtrain.device("cuda")
    assert dtrain.accelerator.get_memory_info()[1] == total


def test_the_greatest_allocation_is_counted_from_a_reset_on():
    kept = dtrain.zeros(256, device="cuda")
    cuda.reset_peak_memory_stats()
    before = cuda.memory_allocated()
    assert cuda.max_memory_allocated() == before
    big = dtrain.zeros(1 << 16, device="cuda")
    del big
    assert cuda.memory_allocated() == before
    assert cuda.max_memory_allocated() >= before + (1 << 18)
    assert cuda.max_memory_reserved() >= cuda.max_memory_allocated()
    assert cuda.memory_stats()["allocated_bytes.all.peak"] == cuda.max_memory_allocated()
    assert "GiB" in cuda.memory_summary()
    cuda.reset_max_memory_allocated()
    assert cuda.max_memory_allocated() == before
    assert kept.sum().item() == 0


def test_streams_wait_for_each_other_and_are_current_in_their_body():
    first, other = cuda.current_stream(), cuda.Stream()
    assert first == cuda.default_stream() != other
    x = dtrain.arange(1000.0, device="cuda")
    other.wait_stream(first)
    with cuda.stream(other):
        assert cuda.current_stream() == other
        y = x * 2
    first.wait_stream(other)
    assert cuda.current_stream() == first
    assert y.sum().item() == 999000
    other.synchronize()
    assert other.query()


def test_events_time_the_work_between_them():
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    begin.record()
    dtrain.ones(1000, device="cuda").sum()
    end.record()
    end.synchronize()
    assert end.query()
    assert begin.elapsed_time(end) >= 0


def test_the_default_device_takes_new_tensors():
    with dtrain.device("cuda"):
        made = [
            dtrain.zeros(2),
            dtrain.tensor([1.0]),
            dtrain.rand(2),
            dtrain.nn.Linear(2, 2).weight,
        ]
        assert dtrain.as_tensor([1.0]).is_cuda
    assert all(x.is_cuda for x in made)
    assert not dtrain.zeros(2).is_cuda


def test_cuda_types_are_of_the_gpu():
    x = cuda.FloatTensor([1, 2])
    assert x.is_cuda
    assert isinstance(x, cuda.FloatTensor)
    assert not isinstance(x, dtrain.FloatTensor)
    assert x.type() == "torch.cuda.FloatTensor"
    assert dtrain.ones(2).type(cuda.LongTensor).type() == "torch.cuda.LongTensor"
    with pytest.raises(TypeError, match="on cpu"):
        dtrain.FloatTensor(x)


def test_the_state_of_the_generator_is_one_for_all_devices():
    cuda.manual_seed_all(3)
    assert cuda.initial_seed() == dtrain.initial_seed() == 3
    states = cuda.get_rng_state_all()
    assert len(states) == cuda.device_count()
    drawn = dtrain.rand(2, device="cuda").tolist()
    cuda.set_rng_state_all(states)
    assert dtrain.rand(2, device="cuda").tolist() == drawn


def test_products_are_tensor_float_only_where_that_is_allowed(monkeypatch):
    call, computed = cublas.call, []

    def note(name, *arguments):
        if name == "cublasGemmStridedBatchedEx":
            computed.append(arguments[-2])
        call(name, *arguments)

    monkeypatch.setattr(cublas, "call", note)
    x = dtrain.ones(3, 3, device="cuda")
    for allowed in (False, True, False):
        monkeypatch.setattr(dtrain.backends.cuda.matmul, "allow_tf32", allowed)
        assert dtrain.get_float32_matmul_precision() == ("high" if allowed else "highest")
        for dtype in (dtrain.float32, dtrain.float64, dtrain.bfloat16):
            assert (x.to(dtype) @ x.to(dtype))[0, 0].item() == 3
    exact, tensor_float = [68, 70, 68], [77, 70, 68]  # cublasComputeType_t
    assert computed == [*exact, *tensor_float, *exact]
