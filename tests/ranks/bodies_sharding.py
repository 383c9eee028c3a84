"""What must hold of a model that is sharded over the ranks; run as those of `bodies.py`."""

import copy
import functools
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn, optim
from dtrain.checkpoint import (
    digest,
    folder_writer,
    join_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.data import DataLoader
from dtrain.errors import CheckpointError
from dtrain.nn import functional as F
from dtrain.nn.utils import clip_grad_norm_
from dtrain.parallel import (
    BackwardPrefetch,
    CPUOffload,
    CPUOffloadPolicy,
    FullStateDictConfig,
    FullyShardedDataParallel,
    MixedPrecision,
    MixedPrecisionPolicy,
    ShardingStrategy,
    StateDictType,
    fully_shard,
    summon_full_params,
)
from dtrain.parallel.sharding import wrap as policies
from dtrain.parallel.sharding.units import find_unit
from dtrain.train import Checkpoints
from dtrain.utils.checkpoint import checkpoint
from tests.cases.optimizer_cases import OPTIMIZERS
from tests.gathered import from_rank_0, gathered

from .bodies import MICROBATCHES, _alone, _data, _model
from .bodies_zero import HalfModel

BLOCKS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)


class _Recomputing(nn.Module):
    """Recomputation, a layer that is called twice, and a tied one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.2))
        self.norm = nn.BatchNorm1d(8)
        self.twice = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.twice.weight
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        x = self.norm(self.first(x.flatten(1)))
        x = checkpoint(lambda x: self.twice(self.twice(x)).tanh(), x)
        return self.last(self.again(x.to(self.again.bias.dtype)).to(self.last.bias.dtype))


class _Everything(_Recomputing):
    """Frozen and unused parameters, and two dtypes, too."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.unused = nn.Linear(3, 3)
        self.wide = nn.Linear(8, 8, dtype=dtrain.float64)

    def forward(self, x):
        x = self.norm(self.first(x.flatten(1)))
        x = checkpoint(lambda x: self.twice(self.twice(x)).tanh(), x)
        x = self.again(x) + checkpoint(self.twice, x) + self.frozen(x)
        return self.last(self.wide(x.double()).float())


def _shard(model, wrap):
    """The model as it is called, by one of the ways to shard it."""
    if wrap == "replicated":
        return DataParallel(model)
    if wrap == "wrapped":
        return FullyShardedDataParallel(model, auto_wrap_policy=BLOCKS)
    if wrap == "units":
        for child in model.children():
            if list(child.parameters()):
                fully_shard(child)
    return fully_shard(model)


def _train(wrap, name="AdamW", make=_model, one_backward=True, clip=None, steps=3, **options):
    """Digests of the weights, of their average and of the optimizer's state after some steps."""
    dtrain.manual_seed(3)
    model = make()
    called = _shard(model, wrap)
    optimizer = getattr(optim, name)(model.parameters(), **options)
    average = optim.swa_utils.AveragedModel(
        model, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.5)
    )
    loader = DataLoader(_data(), 2, shuffle=True, microbatches=MICROBATCHES)
    norms = []
    for number, step in enumerate(loader.steps(one_backward=one_backward)):
        if number == steps:
            break
        for x, y in step:
            F.cross_entropy(called(x), y).backward()
        if clip:
            norms.append(clip_grad_norm_(model.parameters(), 0.1, clip).item())
        optimizer.step()
        if number != 1:  # else the gradients stay, and those of the next step are added
            optimizer.zero_grad(set_to_none=number == 0)
        average.update_parameters(model)
    return digest(model.state_dict()), digest(average.state_dict()), norms, optimizer.state_dict()


def _file(state):
    """The bytes of a state's file."""
    file = io.BytesIO()
    StateWriter(state).write(file)
    return file.getvalue()


def _assert_same(got, expected):
    weights, average, norms, state = got
    assert (weights, average, norms) == expected[:3]
    assert _file(state) == _file(expected[3])


def sharded_training_gives_the_bits_of_data_parallel():
    for name, wrap in (("AdamW", "units"), ("LAMB", "wrapped")):
        _assert_same(_train(wrap, name), _alone(_train, "replicated", name))


def weights_of_halves_in_float32_are_sharded():
    options = {"make": HalfModel, "lr": 1e-4, "master_weights": True}
    _assert_same(_train("units", **options), _alone(_train, "replicated", **options))


def a_sharded_model_may_hold_everything():
    for clip, one_backward in ((2.0, True), (1.0, False)):
        options = {"make": _Everything, "clip": clip, "one_backward": one_backward}
        _assert_same(_train("units", **options), _alone(_train, "replicated", **options))


def every_optimizer_updates_shards():
    def stepped(wrap, name, options):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
        dtrain.manual_seed(0)
        with dtrain.no_grad():
            for param in model.parameters():
                param.normal_()
        model = model[0] if name == "Muon" else model
        if name == "Muon":
            model.bias = None
        called = _shard(model, wrap)
        optimizer = getattr(optim, name)(model.parameters(), **options)
        for _ in range(2):
            called(dtrain.full((1, 3), 0.5)).square().sum().backward()
            optimizer.step()
        return _file(model.state_dict()), _file(optimizer.state_dict())

    for name, options in OPTIMIZERS.values():
        if name != "LBFGS":
            assert stepped("one", name, options) == stepped("replicated", name, options), name


def two_optimizers_share_a_sharded_model():
    def trained(wrap):
        dtrain.manual_seed(3)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.Linear(9, 5))
        called = _shard(model, wrap)
        matrices = [param for param in model.parameters() if param.ndim > 1]
        rest = [param for param in model.parameters() if param.ndim == 1]
        optimizers = [optim.Muon(matrices, lr=0.1), optim.AdamW(rest, lr=0.1)]
        for step in DataLoader(_data(), 2, microbatches=MICROBATCHES).steps():
            for x, y in step:
                with dtrain.autocast("cpu", dtrain.bfloat16):
                    F.cross_entropy(called(x), y).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        return digest(model.state_dict())

    assert trained("units") == _alone(trained, "replicated")


def units_compute_in_the_dtypes_of_their_policies():
    policy = MixedPrecisionPolicy(dtrain.bfloat16, dtrain.float32, output_dtype=dtrain.float32)
    seen = []

    def trained(wrap):
        dtrain.manual_seed(3)
        model = _Recomputing()
        for layer in (model.first, model.norm):
            layer.register_forward_hook(lambda _, args, y: seen.append(args[0].dtype))
        if wrap == "units":
            for child in (model.first, model.last):
                fully_shard(child, mp_policy=policy, offload_policy=CPUOffloadPolicy())
            called = fully_shard(model)
        elif wrap == "wrapped":
            called = FullyShardedDataParallel(
                model,
                auto_wrap_policy={nn.Sequential, nn.BatchNorm1d},
                mixed_precision=MixedPrecision(dtrain.bfloat16, cast_forward_inputs=True),
                cpu_offload=CPUOffload(offload_params=True),
            )
        optimizer = optim.AdamW(model.parameters(), lr=0.01)
        for step in DataLoader(_data(), 2, microbatches=MICROBATCHES).steps():
            for x, y in step:
                F.cross_entropy(called(x).float(), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        assert {param.dtype.name for param in model.parameters()} == {"float32"}
        return digest(model.state_dict())

    for wrap, after_first in (("units", dtrain.float32), ("wrapped", dtrain.bfloat16)):
        assert trained(wrap) == _alone(trained, wrap)
        assert seen[-2:] == [dtrain.bfloat16, after_first]


def a_unit_of_a_lower_precision_gives_what_a_copy_of_it_in_that_precision_does():
    layer = nn.Linear(4, 3)
    low = copy.deepcopy(layer).bfloat16()
    x = dtrain.arange(8.0).reshape(2, 4)
    fully_shard(layer, mp_policy=MixedPrecisionPolicy(dtrain.bfloat16))
    y, expected = layer(x), low(x.bfloat16())
    assert y.dtype == dtrain.bfloat16
    assert y.tolist() == expected.tolist()
    y.sum().backward()
    expected.sum().backward()
    with summon_full_params(layer, with_grads=True):
        assert layer.weight.grad.dtype == dtrain.float32
        assert layer.weight.grad.tolist() == low.weight.grad.tolist()
    with pytest.raises(RuntimeError, match="4"):
        layer(dtrain.ones(1, 5))
    assert layer.weight.dtype == dtrain.float32  # after an error, too
    assert copy.deepcopy(layer)(x).dtype == dtrain.float32


def batches_are_normalized_together_in_a_sharded_model():
    def trained(wrap):
        dtrain.manual_seed(3)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.SyncBatchNorm(6), nn.Linear(6, 5))
        called = _shard(model, wrap)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for x, y in DataLoader(_data(), 2, drop_last=True):
            F.cross_entropy(called(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
        return digest(model.state_dict())

    assert trained("units") == trained("replicated")


def a_rank_keeps_its_part_of_gradients_and_state():
    size, rank = distributed.world_size(), distributed.rank()
    model = fully_shard(nn.Linear(100, 80))
    optimizer = optim.AdamW(model.parameters())
    model(dtrain.ones(1, 100)).sum().backward()
    bucket = model.weight._bucket
    optimizer.step()
    own = 8080 * (rank + 1) // size - 8080 * rank // size
    assert bucket.grads.flat.size == own
    assert [array.size for array in optimizer._flat[bucket].values()] == [own, own]
    # The ranks of a machine share one copy of the values.
    told = gathered([model.weight.array.__array_interface__["data"][0], float(model.weight[0, 0])])
    assert len({value for _, value in told}) == 1


def parameters_are_written_in_summon_full_params():
    model = fully_shard(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)))
    weight = model[0].weight
    for write in (
        lambda: weight.data.mul_(2),
        lambda: weight.detach().__setitem__(0, 1.0),
        lambda: setattr(weight, "data", dtrain.zeros(2, 3)),
        lambda: nn.init.zeros_(weight),
    ):
        before = weight.tolist()
        with pytest.raises(RuntimeError, match=r"sharded.*summon_full_params"):
            write()
        assert weight.tolist() == before
    with summon_full_params(model), dtrain.no_grad():
        weight.mul_(2)
    np.testing.assert_array_equal(weight.array, 2 * np.array(before, np.float32))
    with summon_full_params(model, writeback=False), pytest.raises(RuntimeError, match="sharded"):
        weight.data.zero_()
    model(dtrain.ones(1, 3)).sum().backward()
    with pytest.raises(RuntimeError, match=r"the gradient is sharded.*with_grads=True"):
        _ = weight.grad
    with summon_full_params(model, with_grads=True):
        expected = model[1].weight.sum(0)[:, None].expand(2, 3)
        np.testing.assert_allclose(weight.grad.numpy(), expected.detach().numpy(), rtol=1e-6)
        weight.grad.zero_()
    optim.SGD(model.parameters(), lr=1.0).step()
    np.testing.assert_array_equal(weight.array, 2 * np.array(before, np.float32))
    with (
        pytest.raises(RuntimeError, match="no parameter of Linear is sharded"),
        summon_full_params(nn.Linear(1, 1)),
    ):
        pass


def _job(wrap, optimizer="AdamW"):
    dtrain.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.BatchNorm1d(9), nn.Linear(9, 5))
    called = _shard(model, wrap)
    optimizer = getattr(optim, optimizer)(model.parameters(), lr=0.01)
    loader = DataLoader(_data(), 2, shuffle=True, microbatches=MICROBATCHES)
    return called, {"model": model, "optimizer": optimizer, "loader": loader}


def _continue(wrap, steps, load=None, save=None, optimizer="AdamW"):
    called, objects = _job(wrap, optimizer)
    done = load_checkpoint(load, **objects) if load else 0
    while done < steps:
        for step in objects["loader"].steps():
            for x, y in step:
                F.cross_entropy(called(x), y).backward()
            objects["optimizer"].step()
            objects["optimizer"].zero_grad()
            done += 1
            if done == steps:
                break
    if save:
        save_checkpoint(save, done, **objects)
        distributed.barrier()
    return digest(objects["model"].state_dict())


def a_checkpoint_of_a_sharded_model_is_one_of_an_ordinary_model():
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    expected = _alone(_continue, "replicated", 4)
    _continue("units", 2, save=folder)
    distributed.barrier()
    assert _continue("one", 4, load=folder) == expected
    assert _alone(_continue, "replicated", 4, load=folder) == expected


def each_rank_writes_its_part_of_a_checkpoint():
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    size, rank = distributed.world_size(), distributed.rank()
    for name in ("AdamW", "LAMB", "Adafactor"):  # flat, by parameter, without flat state
        root = Path(folder, name)
        whole = root / f"alone-{rank}"
        _alone(_continue, "replicated", 2, save=whole, optimizer=name)
        _continue("units", 2, save=root, optimizer=name)
        written = root / "step-00000002"
        parts = [f"{part:05d}-of-{size:05d}.safetensors" for part in range(1, size + 1)]
        for kind in ("model", "optimizer") if size > 1 else ():
            files = sorted(written.glob(f"{kind}*"))
            assert [file.name for file in files] == [f"{kind}-{part}" for part in parts]
            tensors = [dtrain.load(file) for file in files]
            names = [name for each in tensors for name in each]
            assert len(names) == len(set(names))
            if kind == "model":
                shapes = {name: t.shape for each in tensors for name, t in each.items()}
                assert shapes == {
                    n: t.shape for n, t in _job("replicated")[0].module.state_dict().items()
                }
                assert len(tensors[0]) < len(names)  # the others are not empty
        joined = join_checkpoint(root, root / f"joined-{rank}")
        for file in whole.glob("*/*.safetensors"):
            assert (joined / file.name).read_bytes() == file.read_bytes(), (name, file)


_write_file = folder_writer._write_file


def a_checkpoint_that_does_not_fit_changes_nothing():
    def job(name, outputs):
        model = fully_shard(nn.Linear(9, outputs))
        optimizer = getattr(optim, name)(model.parameters(), lr=0.1)
        schedule = optim.lr_scheduler.StepLR(optimizer, 1)
        F.mse_loss(model(dtrain.ones(2, 9)), dtrain.ones(2, outputs)).backward()
        optimizer.step()
        schedule.step()
        return {"model": model, "optimizer": optimizer, "schedule": schedule}

    root = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    save_checkpoint(root, 1, **job("Adam", 9))
    for name, outputs, refused in (("Adam", 5, "model"), ("Adafactor", 9, "optimizer")):
        objects = job(name, outputs)
        before = [_file(value.state_dict()) for value in objects.values()]
        with pytest.raises(CheckpointError, match=f"its {refused} does not fit"):
            load_checkpoint(root, **objects)
        assert [_file(value.state_dict()) for value in objects.values()] == before
        distributed.barrier()


def _fail_on_the_last_rank(path, state):
    if distributed.rank() == distributed.world_size() - 1:
        raise OSError("No space left on device")
    return _write_file(path, state)


def a_part_that_cannot_be_written_is_told_on_all_ranks():
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    last = distributed.world_size() - 1
    model = fully_shard(nn.Linear(9, 9))
    distributed.barrier()
    folder_writer._write_file = _fail_on_the_last_rank
    with pytest.raises((OSError, CheckpointError)) as told:
        save_checkpoint(folder, 1, model=model)
    distributed.barrier()
    folder_writer._write_file = _write_file
    if distributed.rank() != last:
        expected = f"rank {last} could not write this checkpoint: OSError: No space left"
        assert expected in str(told.value)
    assert list(Path(folder).iterdir()) == []


def parts_are_written_by_threads_beside_training():
    folder = from_rank_0(tempfile.mkdtemp() if distributed.rank() == 0 else None)
    called, objects = _job("units")
    with Checkpoints(folder, objects) as kept:
        before = digest(objects["model"].state_dict())
        kept.save(1)
        with summon_full_params(called), dtrain.no_grad():
            called[1].weight.zero_()
        kept.save(2)
    assert digest(objects["model"].state_dict()) != before
    _, other = _job("replicated")
    load_checkpoint(Path(folder, "step-00000001"), **other, checkpoints=kept)
    assert digest(other["model"].state_dict()) == before


def a_copy_of_a_sharded_model_is_an_ordinary_model():
    model = fully_shard(nn.Linear(3, 2))
    wrapped = FullyShardedDataParallel(nn.Linear(3, 2))
    for made in (copy.deepcopy(model), copy.deepcopy(wrapped).module):
        made.weight.data.fill_(distributed.rank())
        made(dtrain.ones(1, 3)).sum().backward()
        assert made.weight.tolist() == [[distributed.rank()] * 3] * 2
        assert made.weight.grad.tolist() == [[1.0] * 3] * 2
        with pytest.raises(RuntimeError, match="weight has a gradient: call zero_grad"):
            fully_shard(made)
        made.zero_grad()
        assert fully_shard(made) is made


def scaled_steps_are_skipped_on_all_ranks():
    model = fully_shard(nn.Linear(64, 1, bias=False))
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    scaler = dtrain.amp.GradScaler("cpu", init_scale=4.0)
    before = model.weight.tolist()
    x = dtrain.ones(1, 64)
    x[0, 63] = float("inf")  # in the last rank's part
    scaler.scale(model(x).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert (model.weight.tolist(), scaler.get_scale()) == (before, 2.0)
    optimizer.zero_grad()
    scaler.scale(model(dtrain.ones(1, 64)).sum()).backward()
    scaler.step(optimizer)
    np.testing.assert_allclose(model.weight.detach().numpy(), np.array(before) - 1, rtol=1e-5)


def policies_under_pytorchs_names_find_units():
    def units(policy):
        layers = [nn.Sequential(nn.Linear(8, 8), nn.MultiheadAttention(8, 1)), nn.Linear(8, 1)]
        model = FullyShardedDataParallel(
            nn.Sequential(nn.ModuleList([nn.Linear(3, 3)]), *layers),
            auto_wrap_policy=policy,
            backward_prefetch=BackwardPrefetch.BACKWARD_PRE,
            use_orig_params=True,
            sync_module_states=True,
            device_id="cpu",
        )
        return [name for name, child in model.module.named_modules() if find_unit(child)]

    with_options = functools.partial
    assert units(policies.ModuleWrapPolicy({nn.Linear})) == ["", "0.0", "1.0", "1.1.out_proj", "2"]
    for policy, expected in (
        (with_options(policies.transformer_auto_wrap_policy,
                      transformer_layer_cls={nn.Sequential}), ["", "1"]),
        (with_options(policies.lambda_auto_wrap_policy,
                      lambda_fn=lambda module: isinstance(module, nn.ModuleList)), ["", "0"]),
        (with_options(policies.size_based_auto_wrap_policy, min_num_params=70),
         ["", "1.0", "1.1"]),
        (with_options(policies.size_based_auto_wrap_policy, min_num_params=10),
         ["", "0.0", "1.0", "1.1"]),
    ):  # fmt: skip
        assert units(policy) == expected
    assert units(policies.always_wrap_policy)[:3] == ["", "0", "0.0"]
    with pytest.raises(TypeError, match="ModuleWrapPolicy: expected classes of modules"):
        policies.ModuleWrapPolicy([3])
    with pytest.raises(TypeError, match="unexpected argument 'prefetch'"):
        FullyShardedDataParallel(nn.Linear(1, 1), prefetch=True)
    with pytest.raises(NotImplementedError, match="device_mesh is not supported"):
        FullyShardedDataParallel(nn.Linear(1, 1), device_mesh=object())


def the_whole_state_is_given_to_rank_0_alone_if_asked_for():
    model = FullyShardedDataParallel(nn.Linear(2, 2))
    names, config = ["weight", "bias"], FullStateDictConfig(rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.FULL_STATE_DICT, config):
        assert list(model.state_dict()) == (names if distributed.rank() == 0 else [])
    assert list(model.state_dict()) == names
    with (
        pytest.raises(NotImplementedError, match=r"expected StateDictType.FULL_STATE_DICT"),
        model.state_dict_type(model, StateDictType.SHARDED_STATE_DICT),
    ):
        pass
    model(dtrain.ones(1, 2)).sum().backward()
    assert model.clip_grad_norm_(0.5).item() == pytest.approx(6**0.5)
    assert model.clip_grad_norm_(1.0).item() == pytest.approx(0.5, rel=1e-5)


def what_cannot_be_sharded_is_refused():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    fully_shard(model[0])
    with pytest.raises(RuntimeError, match="the module is sharded already"):
        fully_shard(model[0])
    fully_shard(model)
    with pytest.raises(NotImplementedError, match="LBFGS needs all parameters"):
        optim.LBFGS(model.parameters())
    with pytest.raises(RuntimeError, match="call the module itself, not its forward"):
        F.linear(dtrain.ones(1, 3), model[0].weight).sum().backward()
    for option, kind in (
        ("mp_policy", "MixedPrecisionPolicy"),
        ("offload_policy", "OffloadPolicy"),
    ):
        with pytest.raises(TypeError, match=f"{option}: expected (a )?{kind}"):
            fully_shard(nn.Linear(1, 1), **{option: object()})
    half = MixedPrecisionPolicy(dtrain.bfloat16, reduce_dtype=dtrain.bfloat16)
    with pytest.raises(
        NotImplementedError, match="reduce_dtype is bfloat16, but gradients are added"
    ):
        fully_shard(nn.Linear(1, 1), mp_policy=half)
    with pytest.raises(ValueError, match="param_dtype: expected a floating dtype, got int64"):
        fully_shard(nn.Linear(1, 1), mp_policy=MixedPrecisionPolicy(dtrain.int64))
    with pytest.raises(
        NotImplementedError, match=r"buffer_dtype=dtype\(bfloat16\) is not supported"
    ):
        FullyShardedDataParallel(
            nn.Linear(1, 1), mixed_precision=MixedPrecision(buffer_dtype=dtrain.bfloat16)
        )
    with pytest.raises(NotImplementedError, match="with NO_SHARD omit it"):
        FullyShardedDataParallel(
            nn.Linear(1, 1),
            sharding_strategy=ShardingStrategy.NO_SHARD,
            mixed_precision=MixedPrecision(dtrain.bfloat16),
        )
    owned = nn.Linear(2, 2)
    optim.SGD(owned.parameters())
    with pytest.raises(RuntimeError, match="weight belongs to an optimizer"):
        fully_shard(owned)
    with pytest.raises(ValueError, match="expected a ShardingStrategy, got 'FULL'"):
        FullyShardedDataParallel(nn.Linear(1, 1), sharding_strategy="FULL")
    with pytest.raises(TypeError, match="expected classes of modules"):
        FullyShardedDataParallel(nn.Linear(1, 1), auto_wrap_policy=[3])
    whole = FullyShardedDataParallel(nn.Linear(1, 1), sharding_strategy=ShardingStrategy.NO_SHARD)
    assert whole.module.weight._bucket.sharding is None
    assert list(whole.state_dict()) == ["weight", "bias"]


def a_model_that_is_changed_after_sharding_is_refused():
    def change(model):
        model[1] = nn.Linear(2, 2)

    for make in (
        change,
        lambda model: model.append(nn.Linear(2, 2)),
        lambda model: model[0].bias.requires_grad_(),
        lambda model: model.double(),
    ):
        model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
        model[0].bias.requires_grad_(False)
        fully_shard(model)
        model(dtrain.ones(1, 3)).sum().backward()
        model.zero_grad()
        make(model)
        x = dtrain.ones(1, 3, dtype=model[0].weight.dtype)
        with pytest.raises(RuntimeError, match="after fully_shard took the module"):
            model(x)


def the_part_of_a_rank_that_failed_is_missed():
    def miss(make_optimizer):
        model = fully_shard(nn.Linear(3, 2))
        optimizer = make_optimizer([model.weight], lr=0.1)
        model(dtrain.ones(1, 3)).sum().backward()
        optimizer.step()
        shard = model.weight._bucket.sharding
        before, borders = digest(model.state_dict()), shard.borders
        distributed.barrier()
        shard.borders = [*borders, borders[-1]]  # of one rank more than there are
        for call in (
            lambda: model(dtrain.ones(1, 3)),
            optimizer.step,
            optimizer.state_dict,
            lambda: save_checkpoint("not-made", 1, optimizer=optimizer),
            lambda: clip_grad_norm_(model.parameters(), 1.0),
            lambda: summon_full_params(model).__enter__(),
        ):
            with pytest.raises(RuntimeError, match=r"1 of \d ranks have failed, and with them"):
                call()
        shard.borders = borders
        assert digest(model.state_dict()) == before

    miss(optim.AdamW)  # its state lies in flat arrays
    miss(optim.Muon)  # and this one's by parameter
