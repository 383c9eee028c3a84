"""Sharded training on CuPy, on the ranks of an MPI job: shard_on_ranks.py NAME ..."""

import contextlib
import copy
import hashlib
import io
import pickle
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.cupy import conftest  # CuPy on host memory where there is no GPU

# isort: split
import cupy
import pytest
from cupy.cuda import runtime

import dtrain
from dtrain import DataParallel, distributed, nn, optim
from dtrain.checkpoint import digest, load_checkpoint, save_checkpoint
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.data import DataLoader, TensorDataset
from dtrain.nn import functional as F
from dtrain.nn.utils import clip_grad_norm_
from dtrain.parallel import (
    CPUOffloadPolicy,
    FullStateDictConfig,
    FullyShardedDataParallel,
    MixedPrecisionPolicy,
    ShardingStrategy,
    StateDictType,
    fully_shard,
    summon_full_params,
)
from dtrain.utils.checkpoint import checkpoint
from tests.gathered import from_rank_0, gathered

MICROBATCHES = 10


class _Model(nn.Module):
    """A layer that is called twice, a tied one, a frozen one, and one of another dtype."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(16, 40), nn.Dropout(0.2), nn.ReLU())
        self.norm = nn.LayerNorm(40)
        self.twice = nn.Linear(40, 40)
        self.again = nn.Linear(40, 40)
        self.again.weight = self.twice.weight
        self.frozen = nn.Linear(40, 40).requires_grad_(False)
        self.wide = nn.Linear(40, 8, dtype=dtrain.float64)

    def forward(self, x):
        x = self.norm(self.first(x))
        x = checkpoint(lambda x: self.twice(self.twice(x).tanh()), x)
        x = self.again(x) + self.frozen(x)
        return self.wide(x.double()).float()


def _shard(model, wrap, **options):
    if wrap == "replicated":
        return DataParallel(model)
    if wrap == "units":
        for child in (model.first, model.norm, model.twice, model.again, model.frozen):
            fully_shard(child, **options)
    return fully_shard(model, **options)


def _loader():
    x = dtrain.randn(60, 16, generator=dtrain.Generator(1)).to("cuda")
    return DataLoader(TensorDataset(x, x[:, :8]), 2, microbatches=MICROBATCHES)


def _train(
    wrap, name="AdamW", clip=None, steps=3, one_backward=True, offload_policy=None, **options
):
    """Digests of the weights and of the optimizer's state after some steps, and norms."""
    dtrain.manual_seed(3)
    model = _Model().to("cuda")
    called = _shard(model, wrap, offload_policy=offload_policy)
    trained = [param for param in model.parameters() if param.requires_grad]
    optimizer = getattr(optim, name)(trained, **options)
    average = optim.swa_utils.AveragedModel(model)
    norms = _run(called, model, optimizer, clip, steps, one_backward)
    average.update_parameters(model)
    weights = digest(model.state_dict()), digest(average.state_dict())
    return weights, norms, _digest_of_state(optimizer)


def _run(called, model, optimizer, clip=None, steps=3, one_backward=True):
    norms = []
    for number, step in enumerate(_loader().steps(one_backward=one_backward)):
        if number == steps:
            break
        for x, y in step:
            F.mse_loss(called(x), y).backward()
        if clip:
            norms.append(clip_grad_norm_(model.parameters(), 0.1, clip).item())
        optimizer.step()
        optimizer.zero_grad()
    return norms


def _digest_of_state(optimizer):
    file = io.BytesIO()
    StateWriter(optimizer.state_dict()).write(file)
    return hashlib.sha256(file.getvalue()).hexdigest()


def _alone(function, *args, **options):
    return distributed.run_ranks(1, lambda: function(*args, **options))[0]


def training_gives_the_bits_of_data_parallel():
    rules = ("AdamW", "units"), ("AdamW", "whole"), ("LAMB", "units"), ("Adafactor", "whole")
    for name, wrap in rules:
        got = _train(wrap, name, clip=2)
        assert got == _alone(_train, "replicated", name, clip=2), (name, wrap)
    got = _train("units", "SGD", lr=0.1, momentum=0.9, one_backward=False)
    assert got == _alone(_train, "replicated", "SGD", lr=0.1, momentum=0.9)


def threads_give_the_bits_of_data_parallel():
    expected = _train("replicated", clip=2)
    for ranks in (1, 2, 5):
        assert distributed.run_ranks(ranks, lambda: _train("units", clip=2)) == [expected] * ranks


def gradients_and_state_are_in_parts():
    model = fully_shard(_Model().to("cuda"))
    optimizer = optim.AdamW(param for param in model.parameters() if param.requires_grad)
    _run(model, model, optimizer, steps=1)
    sizes = [
        (bucket.size, array.size)
        for bucket, state in optimizer._flat.items()
        for array in state.values()
    ]
    assert all(abs(size / distributed.world_size() - part) < 1 for size, part in sizes)
    F.mse_loss(model(x := dtrain.ones(2, 16, device="cuda")), x[:, :8]).backward()
    with pytest.raises(RuntimeError, match="read it in `with summon_full_params"):
        model.wide.weight.grad  # noqa: B018
    with summon_full_params(model, with_grads=True):
        assert model.wide.weight.grad.shape == (8, 40)


def values_are_written_and_loaded():
    model, other = _shard(_Model().to("cuda"), "units"), _Model().to("cuda")
    with summon_full_params(model), dtrain.no_grad():
        model.wide.weight.fill_(distributed.rank())
    values = model.wide.weight.flatten().tolist()  # each rank has written its part
    assert values == sorted(values)
    assert {*values} == {*range(distributed.world_size())}
    given = from_rank_0(other.state_dict())
    model.load_state_dict(given)
    assert digest(model.state_dict()) == digest(given)


class _Repeated(nn.Linear):
    """A layer that runs again in the backward pass."""

    def __call__(self, x):
        return checkpoint(super().__call__, x)


def values_are_freed_and_gathered():
    """A step of a model whose values, gradients and state would not be there whole."""
    for layer in (nn.Linear, _Repeated):
        _train_in_little_memory(layer)


def _train_in_little_memory(layer):
    count, width = 24, 256
    whole = 4 * count * width * width  # bytes of the values
    pool = cupy.get_default_memory_pool()
    model = nn.Sequential(*(layer(width, width, bias=False) for _ in range(count))).to("cuda")
    for layer in model:
        fully_shard(layer)
    fully_shard(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x = dtrain.ones(2, width, device="cuda")
    x @ x.T  # the workspace of products is made once
    pool.free_all_blocks()
    before, parts = pool.used_bytes(), whole // distributed.world_size()  # of gradients
    pool.set_limit(before + parts + whole * 4 // 10)
    for _ in range(2):
        loss = model(x).pow(2).mean()
        assert pool.used_bytes() - before < parts + whole // 4  # activations, the last values
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    pool.set_limit(0)
    with dtrain.no_grad():
        model(x)
    assert pool.used_bytes() - before < parts + whole // 4


def no_step_waits_for_the_gpu():
    model = _shard(_Model().to("cuda"), "units")
    optimizer = optim.AdamW(param for param in model.parameters() if param.requires_grad)
    x = dtrain.ones(2, 16, device="cuda")

    def step():
        F.mse_loss(model(x), x[:, :8]).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    cupy.cuda.get_current_stream().synchronize()
    conftest.hostcuda.reset()
    step()
    counters, calls = conftest.hostcuda.counters(), conftest.hostcuda.launch_names()
    assert (counters["syncs"], counters["h2d"], counters["d2h"]) == (0, 0, 0)
    buckets = len({param._bucket for param in model.parameters() if param.requires_grad})
    assert (calls["ncclSendRecv"], calls["ncclAllReduce"]) == (buckets, 2)  # around the update


def ranks_read_without_each_other():
    dtrain.manual_seed(3)
    model = _shard(_Model().to("cuda"), "units")
    x = dtrain.ones(2, 16, device="cuda")
    expected = gathered(model.eval()(x).tolist())[-1]
    if distributed.rank() == 0:
        with dtrain.no_grad():
            assert model(x).tolist() == expected
        assert model.wide.weight.sum().isfinite()
    distributed.barrier()
    if distributed.rank():
        assert model(x).tolist() == expected


def writes_are_refused():
    model = _shard(_Model().to("cuda"), "units")
    for write in (
        lambda: model.wide.weight.detach().fill_(1),
        lambda: model.wide.weight.data.fill_(1),
        lambda: model.wide.weight[0].detach().add_(1),
        lambda: nn.init.zeros_(model.wide.weight),
        lambda: setattr(model.wide.weight, "data", dtrain.zeros(8, 40, dtype=dtrain.float64)),
    ):
        with pytest.raises(RuntimeError, match="with summon_full_params"):
            write()
    copied = copy.deepcopy(model)
    assert type(copied.wide.weight) is nn.Parameter
    assert digest(copied.state_dict()) == digest(model.state_dict())
    assert pickle.loads(pickle.dumps(model.wide.weight)).tolist() == model.wide.weight.tolist()
    assert isinstance(model.wide.weight, nn.Parameter)


def units_compute_in_another_dtype():
    def train(wrap):
        dtrain.manual_seed(3)
        model = nn.Sequential(nn.Linear(16, 40), nn.ReLU(), nn.Linear(40, 8)).to("cuda")
        if wrap:
            policy = MixedPrecisionPolicy(dtrain.bfloat16, output_dtype=dtrain.float32)
            for layer in (model[0], model[2], model):
                fully_shard(layer, mp_policy=policy, reshard_after_forward=True)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        _run(model, model, optimizer, steps=2)
        return digest(model.state_dict())

    assert train(True) == _alone(train, True)
    assert train(True) != _alone(train, False)


def offloaded_models_have_the_bits_of_one_rank():
    for name, wrap in (("AdamW", "units"), ("LAMB", "whole")):
        got = _train(wrap, name, clip=2, offload_policy=CPUOffloadPolicy())
        assert got == _alone(_train, wrap, name, clip=2, offload_policy=CPUOffloadPolicy())
    model = _shard(_Model().to("cuda"), "units", offload_policy=CPUOffloadPolicy())
    assert str(model.wide.weight.device) == "cpu"
    with summon_full_params(model), dtrain.no_grad():
        model.wide.weight.fill_(2)
    assert model.wide.weight.mean().item() == 2
    assert model(dtrain.ones(2, 16, device="cuda")).is_cuda
    for write in (
        lambda: model.wide.weight.detach().fill_(1),
        lambda: model.wide.weight.data.fill_(1),
    ):
        with pytest.raises((RuntimeError, ValueError), match=r"read-only|with summon_full_params"):
            write()
    other = from_rank_0(_Model().state_dict())
    model.load_state_dict(other)
    assert digest(model.state_dict()) == digest(other)


def programs_for_fsdp():
    dtrain.manual_seed(3)
    model = FullyShardedDataParallel(
        _Model(), auto_wrap_policy={nn.Linear}, device_id=dtrain.cuda.current_device(),
        sharding_strategy=ShardingStrategy.SHARD_GRAD_OP,
    )  # fmt: skip
    optimizer = optim.AdamW(param for param in model.parameters() if param.requires_grad)
    _run(model, model, optimizer)
    config = FullStateDictConfig(offload_to_cpu=True, rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.FULL_STATE_DICT, config):
        state = model.state_dict()
    expected = _alone(_train, "replicated")[0][0]
    if distributed.rank() == 0:
        assert digest(state) == expected
        assert not any(tensor.is_cuda for tensor in state.values())
    assert bool(state) == (distributed.rank() == 0)


def gpus_that_cannot_read_each_other_have_all_values():
    def refuse(*_):
        raise runtime.CUDARuntimeError(217)

    runtime.ipcOpenMemHandle = refuse
    with (
        pytest.warns(UserWarning, match="holds all parameters")
        if distributed.rank() == 0
        else (contextlib.nullcontext())
    ):
        got = _train("units")
    assert got == _alone(_train, "replicated")


def checkpoints_go_on_anywhere():
    def train_on(root, wrap):
        dtrain.manual_seed(5)
        model = _Model().to("cuda")
        called = _shard(model, wrap)
        optimizer = optim.AdamW(param for param in model.parameters() if param.requires_grad)
        load_checkpoint(root, model=model, optimizer=optimizer)
        _run(called, model, optimizer, steps=2)
        return digest(model.state_dict()), _digest_of_state(optimizer)

    root = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    dtrain.manual_seed(3)
    model = _shard(_Model().to("cuda"), "units")
    optimizer = optim.AdamW(param for param in model.parameters() if param.requires_grad)
    _run(model, model, optimizer, steps=1)
    save_checkpoint(root, 1, model=model, optimizer=optimizer)
    distributed.barrier()
    expected = _alone(train_on, root, "replicated")
    assert train_on(root, "whole") == expected
    assert gathered(expected) == [expected] * distributed.world_size()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[name]()
        cupy.cuda.get_current_stream().synchronize()  # a late one takes part now
    if conftest.HOSTED:
        assert conftest.hostcuda.counters()["violations"] == 0, conftest.hostcuda.violations()
    distributed.barrier()
    if distributed.rank() == 0:
        print("passed on", distributed.world_size(), "ranks")
