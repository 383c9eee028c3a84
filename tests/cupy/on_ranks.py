"""Runs functions of this file on the ranks of an MPI job, on CuPy: on_ranks.py NAME ..."""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
# isort: split
from tests.cupy import conftest  # CuPy on host memory where there is no GPU

# isort: split
import cupy
import ml_dtypes
import numpy as np
import pytest
from cupy.cuda import nccl

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed.comm import tree_reduce
from dtrain.distributed.world import communicator
from dtrain.errors import DesyncError
from dtrain.nn import functional as F
from dtrain.parallel import ZeroRedundancyOptimizer
from tests.gathered import gathered

DTYPES = [np.dtype(t) for t in ("float32", "float64", "float16", ml_dtypes.bfloat16, "int32")]


def _values(count, length, dtype):
    values = np.random.default_rng(length).normal(size=(count, length)) * 1000
    return list(values.astype(dtype))


def _partials(values):
    """What this rank brings to the reduction of `values`: device arrays."""
    low, high = tree_reduce.microbatch_range(
        distributed.rank(), distributed.world_size(), len(values)
    )
    total = tree_reduce.TreeAccumulator(
        len(values), lambda left, right: np.add(left, right, out=left)
    )
    for index in range(low, high):
        total.push(index, values[index].copy())
    return [cupy.asarray(partial) for _, _, partial in total.partials]


def _expected(values, divisor):
    out = np.empty_like(values[0])
    parts = {(i, i + 1): value for i, value in enumerate(values)}
    tree_reduce.combine(parts, (0, len(values)), [out], slice(None), divisor)
    return out


def _problems():
    size = distributed.world_size()
    for dtype in DTYPES:
        for count in (size, 5, 8):
            # fewer elements than ranks, a remainder, none, and several messages
            for length in (1, 2, 7, 300, 128 * size * 3, 100_001):
                divisor = 1 if dtype.kind == "i" else 3
                yield _values(count, length, dtype), divisor


def _uneven(length):
    """Slices of unequal lengths, one of them empty."""
    size = distributed.world_size()
    return [0, 0, *(length * r // (size + 3) for r in range(2, size)), length]


def all_reduce():
    for values, divisor in _problems():
        partials = _partials(values)
        out = partials[0]
        communicator().all_reduce(partials, out, len(values), divisor)
        assert out.get().tobytes() == _expected(values, divisor).tobytes()


def reduce_scatter():
    for values, divisor in _problems():
        bounds = _uneven(len(values[0]))
        own = slice(*bounds[distributed.rank() :][:2])
        partials = _partials(values)
        out = cupy.zeros_like(partials[0])
        communicator().reduce_scatter(partials, out, bounds, len(values), divisor)
        assert out[own].get().tobytes() == _expected(values, divisor)[own].tobytes()


def all_gather_slices():
    for values, _ in _problems():
        bounds = _uneven(len(values[0]))
        own = slice(*bounds[distributed.rank() :][:2])
        flat = cupy.zeros(len(values[0]), values[0].dtype)
        flat[own] = cupy.asarray(values[0][own])
        communicator().all_gather_slices(flat, bounds)
        assert flat.get().tobytes() == values[0].tobytes()


def native_all_reduce():
    size = distributed.world_size()
    for dtype in DTYPES:
        flat = cupy.full(1000, distributed.rank() + 1).astype(dtype)
        communicator().native_all_reduce(flat, 1 if dtype.kind == "i" else 2)
        expected = size * (size + 1) / 2 / (1 if dtype.kind == "i" else 2)
        assert flat.get().astype(float).tolist() == [expected] * 1000


def a_second_thread_has_a_communicator_of_its_own():
    comm = communicator().duplicate()
    for each in (comm, communicator()):
        flat = cupy.ones(1000, "f4")
        each.all_reduce([flat], flat, distributed.world_size())
        assert flat.get().tolist() == [distributed.world_size()] * 1000


def _calls(function):
    """The NCCL calls and the copies between host and device that a function makes."""
    cupy.cuda.get_current_stream().synchronize()
    conftest.hostcuda.reset()
    function()
    cupy.cuda.get_current_stream().synchronize()
    counters = conftest.hostcuda.counters()
    names = conftest.hostcuda.launch_names()
    calls = {name: n for name, n in names.items() if name.startswith("nccl") or name == "combine"}
    return calls, counters["h2d_bytes"] + counters["d2h_bytes"]


def no_byte_of_an_array_passes_through_the_host():
    comm, size = communicator(), distributed.world_size()
    flat = cupy.ones(size * 4096, "f4")
    comm.all_reduce([flat], flat, size)  # joins the ranks, compiles
    uneven = cupy.ones(size * 4096 + 1, "f4")
    bounds = _uneven(len(flat))

    def exact(array):
        return _calls(lambda: comm.all_reduce([array], array, size))

    assert exact(flat) == ({"ncclSendRecv": 1, "combine": 1, "ncclAllGather": 1}, 0)
    assert exact(uneven) == (
        {"ncclSendRecv": 1, "combine": 1, "ncclAllGather": 1, "ncclBroadcast": 1},
        0,
    )
    assert _calls(lambda: comm.native_all_reduce(flat)) == ({"ncclAllReduce": 1}, 0)
    calls, copied = _calls(lambda: comm.reduce_scatter([flat], flat, bounds, size))
    assert (calls["ncclSendRecv"], copied) == (1, 0)
    assert _calls(lambda: comm.all_gather_slices(flat, bounds)) == ({"ncclSendRecv": 1}, 0)


def no_gradient_of_a_step_passes_through_the_host():
    dtrain.manual_seed(0)
    norms = nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.BatchNorm1d(64)
    for model in (nn.Linear(64, 64), nn.Sequential(*norms)):
        model = DataParallel(model.to("cuda"))
        x = dtrain.randn(4, 64, generator=dtrain.Generator(1)).to("cuda")

        def step(model=model, x=x):
            F.mse_loss(model(x), x).backward()

        step()
        calls, copied = _calls(step)
        assert calls["combine"] == 1
        assert copied == 0
        assert conftest.hostcuda.counters()["syncs"] <= 1  # of _calls


def statistics_are_those_of_one_rank():
    def train():
        dtrain.manual_seed(0)
        norms = nn.BatchNorm1d(5), nn.BatchNorm1d(5, momentum=None)
        model = nn.Sequential(nn.Linear(6, 5), *norms).to("cuda")
        parallel = DataParallel(model)
        x = dtrain.randn(25, 6, generator=dtrain.Generator(1)).to("cuda")
        loader = DataLoader(TensorDataset(x), 2, microbatches=5)
        for step in loader.steps():
            for (x,) in step:
                parallel(x).pow(2).sum().backward()
        return digest(model.state_dict())

    assert gathered(train()) == distributed.world_size() * distributed.run_ranks(1, train)


def overlap_and_a_sharded_optimizer_keep_the_bits():
    def train():
        dtrain.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 50), nn.ReLU(), nn.Linear(50, 10)).to("cuda")
        parallel = DataParallel(model, bucket_bytes=1 << 12, overlap=True)
        optimizer = ZeroRedundancyOptimizer(parallel.parameters(), dtrain.optim.Adam, lr=0.01)
        x = dtrain.randn(30, 64, generator=dtrain.Generator(1)).to("cuda")
        loader = DataLoader(TensorDataset(x, x[:, :10]), 2, microbatches=8)
        for step in loader.steps():
            for x, y in step:
                F.mse_loss(parallel(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        return digest(model.state_dict())

    assert gathered(train()) == distributed.world_size() * distributed.run_ranks(1, train)


def _reduce_and_wait(length):
    flat, comm = cupy.ones(length, "f4"), communicator()
    comm.all_reduce([flat], flat, comm.size)
    cupy.cuda.get_current_stream().synchronize()


def each_rank_queues_another_call():
    _reduce_and_wait(1000 + distributed.rank())


def one_rank_does_not_come():
    _reduce_and_wait(1000)
    if distributed.rank() == 1:
        threading.Event().wait()
    _reduce_and_wait(1000)


def one_rank_ends_its_nccl():
    _reduce_and_wait(1000)
    if distributed.rank() == 1:
        communicator()._nccl.abort()
        threading.Event().wait()
    _reduce_and_wait(1000)


def work_on_streams_waits_for_a_reduction_in_a_thread():
    """The bucket is read after its last write, and used after its reduction."""
    size, rank = distributed.world_size(), distributed.rank()
    for stream in (cupy.cuda.Stream.null, cupy.cuda.Stream(non_blocking=True)):
        with stream:
            x = dtrain.full((5000,), 1.0, device="cuda")
            x += rank
            work = distributed.all_reduce(x, async_op=True)
            work.wait()
            doubled = x * 2
            stream.synchronize()
            assert doubled.tolist() == [size * (size + 1.0)] * 5000


def a_model_on_another_kind_of_device_is_refused():
    model = nn.Linear(2, 2).to("cuda" if distributed.rank() else "cpu")
    with pytest.raises(DesyncError, match=r"rank 0 has .* cpu, rank 1 has .* cuda"):
        DataParallel(model)


def reductions_wait_for_no_host():
    """What is queued after a reduction, on the same stream, sees its result."""
    comm, size = communicator(), distributed.world_size()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        flat = cupy.full(100_000, 1, "f4")
        flat *= 2
        comm.all_reduce([flat], flat, size, 2)
        flat += 1
        total = flat.sum()
        stream.synchronize()
    assert total.item() == 100_000 * (size + 1)


def host_memory_where_one_rank_has_no_nccl():
    if distributed.rank() == 1:
        nccl.available = False
    _through_host_memory()


def host_memory_where_nccl_refuses():
    def refuse(*_):
        raise nccl.NcclError(5)

    nccl.NcclCommunicator = refuse
    _through_host_memory()


def _through_host_memory():
    comm = communicator()
    flat = cupy.ones(1000, "f4")
    calls, _ = _calls(lambda: comm.all_reduce([flat], flat, distributed.world_size()))
    assert calls == {}
    assert flat.get().tolist() == [distributed.world_size()] * 1000
    all_reduce(), reduce_scatter(), all_gather_slices(), native_all_reduce()


def sync_batch_norm():
    """On the device as on the host."""
    size, rank = distributed.world_size(), distributed.rank()
    data = dtrain.randn(size, 5, 4, generator=dtrain.Generator(1))
    seen = []
    for device in ("cpu", "cuda"):
        dtrain.manual_seed(0)
        model = DataParallel(
            nn.Sequential(nn.SyncBatchNorm(4), nn.Linear(4, 4), nn.SyncBatchNorm(4)).to(device)
        )
        x = data[rank, : 5 * (rank > 0)].to(device)  # none on rank 0
        model(x).pow(3).sum().backward()
        after = model.module
        tensors = [*after.state_dict().values(), *(p.grad for p in after.parameters())]
        seen.append([tensor.cpu().numpy() for tensor in tensors])
    for host, device in zip(*seen):
        np.testing.assert_allclose(device, host, rtol=1e-4, atol=1e-5)


def each_rank_has_a_gpu():
    gpus = dtrain.cuda.device_count()
    expected = f"cuda:{distributed.local_rank() % gpus}"
    # On one machine each has another number; Open MPI may give them in another order.
    assert sorted(gathered(distributed.local_rank())) == [*range(distributed.world_size())]
    assert str(dtrain.ones(2).to("cuda").device) == expected
    assert str(dtrain.ones(2, device="cuda").device) == expected
    assert str(dtrain.ones(2, device="cuda:0").device) == "cuda:0"
    x = dtrain.full((1000,), distributed.rank() + 1.0, device="cuda")
    size = distributed.world_size()
    assert distributed.all_reduce(x).tolist() == [size * (size + 1) / 2] * 1000
    assert str(x.device) == expected
    model = DataParallel(
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.SyncBatchNorm(4)).to("cuda")
    )
    optimizer = dtrain.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        model(dtrain.randn(5, 4, device="cuda")).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert {str(p.device) for p in model.parameters()} == {expected}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[name]()
    if conftest.HOSTED:
        assert conftest.hostcuda.counters()["violations"] == 0, conftest.hostcuda.violations()
    distributed.barrier()
    if distributed.rank() == 0:
        print("passed on", distributed.world_size(), "ranks")
