"""DistributedDataParallel and DistributedSampler; run as the bodies of `bodies.py`."""

import copy
import pickle

import numpy as np
import pytest

import dtrain
from dtrain import distributed as dist, nn, optim
from dtrain.checkpoint import digest
from dtrain.data import BatchSampler, DataLoader, DistributedSampler, TensorDataset
from dtrain.errors import DesyncError
from dtrain.parallel import DistributedDataParallel, PowerSGD, ZeroRedundancyOptimizer, comm_hooks
from tests.gathered import gathered


def _module(seed=5):
    dtrain.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def _batch(rank, step=0):
    values = np.random.default_rng([rank, step]).normal(size=(6, 3))
    return dtrain.tensor(values.astype(np.float32))


def _loss(model, rank, step=0):
    return model(_batch(rank, step)).square().sum()


def _mean_gradients(module, steps):
    """The mean over the ranks of the gradients that each one's batches give, summed over steps."""
    gradients = []
    for rank in range(dist.get_world_size()):
        alone = copy.deepcopy(module)
        for step in steps:
            _loss(alone, rank, step).backward()
        gradients.append([param.grad.numpy() for param in alone.parameters()])
    return [np.mean(parts, 0) for parts in zip(*gradients)]


def _gradient_bits(module):
    return digest({name: param.grad for name, param in module.named_parameters()})


def _require_gradients(module, expected):
    for param, mean in zip(module.parameters(), expected):
        np.testing.assert_allclose(param.grad.numpy(), mean, rtol=2e-4, atol=1e-5)
    assert len(set(gathered(_gradient_bits(module)))) == 1


def gradients_are_the_mean_after_backward():
    rank = dist.get_rank()
    module = _module(seed=5 + rank)  # rank 0's values count, and seeds may differ
    model = DistributedDataParallel(module)
    assert set(gathered(digest(module.state_dict()))) == {digest(_module().state_dict())}
    _loss(model, rank).backward()
    _require_gradients(module, _mean_gradients(_module(), [0]))


def gradients_of_no_sync_are_reduced_with_the_next():
    rank, module = dist.get_rank(), _module()
    expected = _mean_gradients(_module(), [0, 1, 2])
    model = DistributedDataParallel(module, bucket_cap_mb=1e-5)
    with model.no_sync():
        assert not model.require_backward_grad_sync
        _loss(model, rank, 0).backward()
        own = [param.grad.clone() for param in module.parameters()]
        _loss(model, rank, 1).backward()
    alone = _module()
    _loss(alone, rank).backward()
    assert all(dtrain.equal(g, p.grad) for g, p in zip(own, alone.parameters()))
    _loss(model, rank, 2).backward()
    _require_gradients(module, expected)


def gradients_that_are_not_cleared_stay_in_the_mean():
    rank, module = dist.get_rank(), _module()
    model = DistributedDataParallel(module, broadcast_buffers=False)
    for step in range(2):
        _loss(model, rank, step).backward()
    _require_gradients(module, _mean_gradients(_module(), [0, 1]))


def a_parameter_that_some_ranks_use_is_reduced():
    rank, size = dist.get_rank(), dist.get_world_size()
    module = nn.ModuleDict(
        {"used": nn.Linear(2, 1), "first": nn.Linear(2, 1), "no": nn.Linear(2, 1)}
    )
    module.forward = lambda x: module["used"](x) + (module["first"](x) if rank == 0 else 0)
    model = DistributedDataParallel(module, find_unused_parameters=True)
    model(dtrain.ones(1, 2)).sum().backward()
    assert module["used"].bias.grad.item() == 1
    assert module["first"].bias.grad.item() == pytest.approx(1 / size)
    assert module["no"].bias.grad is None


def buffers_are_rank_0s_after_each_step():
    rank = dist.get_rank()
    for broadcast in (True, False):
        module = _module()
        model = DistributedDataParallel(module, broadcast_buffers=broadcast)
        alone = _module()
        for step in range(3):
            _loss(model, rank, step).backward()
            alone(_batch(0 if broadcast else rank, step))
        for name, buffer in alone.named_buffers():
            assert dtrain.equal(buffer, dict(module.named_buffers())[name])


def an_embedding_with_max_norm_stays_the_same_on_all_ranks():
    dtrain.manual_seed(0)
    module = nn.Embedding(9, 3, max_norm=0.5)
    model = DistributedDataParallel(module)
    model(dtrain.tensor([dist.get_rank() % 9])).sum().backward()
    assert len(set(gathered(digest(module.state_dict())))) == 1


def training_has_the_same_bits_each_time_and_on_each_rank():
    def trained(make):
        module = _module()
        model = DistributedDataParallel(module)
        optimizer = make(model.parameters())
        for step in range(3):
            optimizer.zero_grad()
            _loss(model, dist.get_rank(), step).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        return digest(module.state_dict())

    digests = [trained(lambda params: optim.AdamW(params, lr=0.01)) for _ in range(2)]
    digests.append(trained(lambda p: ZeroRedundancyOptimizer(p, optim.AdamW, lr=0.01)))
    assert len({d for rank in gathered(digests) for d in rank}) == 1


def names_have_a_prefix_that_loading_does_not_need():
    model = DistributedDataParallel(_module())
    state = model.state_dict()
    assert list(state)[:2] == ["module.0.weight", "module.0.bias"]
    other = DistributedDataParallel(_module(seed=9))
    other.load_state_dict(state)
    assert digest(other.state_dict()) == digest(state)
    other.load_state_dict(_module(seed=9).state_dict())
    assert digest(other.module.state_dict()) == digest(_module(seed=9).state_dict())
    with pytest.raises(RuntimeError, match=r"module\.9\.weight"):
        other.load_state_dict({**state, "module.9.weight": dtrain.ones(1)})


def hooks_compress_gradients():
    rank = dist.get_rank()
    expected = _mean_gradients(_module(), [0])
    hooks = [
        (None, comm_hooks.allreduce_hook, 1e-5),
        (None, comm_hooks.fp16_compress_hook, 1e-2),
        (None, comm_hooks.bf16_compress_hook, 5e-2),
        (comm_hooks.PowerSGDState(None, start_powerSGD_iter=0), comm_hooks.powerSGD_hook, None),
    ]
    for state, hook, tolerance in hooks:
        module = _module()
        model = DistributedDataParallel(module)
        model.register_comm_hook(state, hook)
        _loss(model, rank).backward()
        digests = gathered(_gradient_bits(module))
        assert len(set(digests)) == 1
        exact = True
        for param, mean in zip(module.parameters(), expected):
            exact = exact and np.allclose(param.grad.numpy(), mean, atol=1e-6)
            if tolerance is not None:
                np.testing.assert_allclose(param.grad.numpy(), mean, rtol=tolerance, atol=tolerance)
        assert exact == (hook is comm_hooks.allreduce_hook) or isinstance(state, PowerSGD)
    with pytest.raises(ValueError, match=r"expected allreduce_hook.*got '_mine'"):
        model.register_comm_hook(None, _mine)
    with pytest.raises(RuntimeError, match="a hook is not called here"):
        comm_hooks.fp16_compress_hook(None, None)


def _mine(state, bucket):
    """A hook of the user's."""


def a_group_trains_a_model_of_its_own():
    rank, size = dist.get_rank(), dist.get_world_size()
    halves = [dist.new_group(list(part)) for part in np.array_split(range(size), 2) if len(part)]
    group = next(g for g in halves if g != dist.GroupMember.NON_GROUP_MEMBER)
    others = dist.get_process_group_ranks(group)
    module = nn.Linear(2, 1, bias=False)
    with dtrain.no_grad():
        module.weight.fill_(rank)
    model = DistributedDataParallel(module, process_group=group)
    assert module.weight.tolist() == [[others[0]] * 2]
    model(dtrain.full((1, 2), float(rank))).sum().backward()
    assert module.weight.grad.tolist() == [[pytest.approx(np.mean(others))] * 2]
    for make_copy in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match=r"cannot be copied or pickled: copy model\.module"):
            make_copy(model)


def copies_train_on():
    rank = dist.get_rank()
    model = DistributedDataParallel(_module())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        _loss(other, rank).backward()
        _require_gradients(other.module, _mean_gradients(_module(), [0]))
    assert model.module[0].weight.grad is None


def copies_have_the_error_feedback_of_their_original():
    rank, model = dist.get_rank(), DistributedDataParallel(_module())
    model.register_comm_hook(None, comm_hooks.bf16_compress_hook)
    _loss(model, rank).backward()
    model.zero_grad()
    fresh = DistributedDataParallel(copy.deepcopy(model.module))
    fresh.register_comm_hook(None, comm_hooks.bf16_compress_hook)
    models = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model, fresh]
    for each in models:
        _loss(each, rank, 1).backward()
    copied, pickled, own, without = [_gradient_bits(each.module) for each in models]
    assert copied == pickled == own != without


def what_cannot_be_had_is_refused():
    size = dist.get_world_size()
    frozen = _module().requires_grad_(False)
    with pytest.raises(RuntimeError, match="no parameter of the module requires a gradient"):
        DistributedDataParallel(frozen)
    for options, message in [
        ({"device_ids": [0]}, "the module is in host memory"),
        ({"device_ids": [0, 1]}, "expected one device"),
        ({"mixed_precision": object()}, "mixed_precision is not supported"),
        ({"process_group": dist.GroupMember.NON_GROUP_MEMBER}, "is not in process_group"),
    ]:
        with pytest.raises(ValueError, match=message):
            DistributedDataParallel(_module(), **options)
    with pytest.raises(NotImplementedError, match="same number of steps"):
        DistributedDataParallel(_module()).join()
    if size > 1:
        with pytest.raises(DesyncError, match="DistributedDataParallel: the ranks built different"):
            DistributedDataParallel(nn.Linear(2, 1 + dist.get_rank()))


def a_sampler_deals_as_pytorchs():
    rank, size = dist.get_rank(), dist.get_world_size()
    data = TensorDataset(dtrain.arange(23))
    for drop_last in (False, True):
        sampler = DistributedSampler(data, shuffle=False, drop_last=drop_last)
        own = list(range(23))
        total = len(sampler) * size
        expected = (own + own)[:total][rank::size]
        assert list(sampler) == expected
        loader = DataLoader(data, 4, sampler=sampler)
        batches = [x.tolist() for (x,) in loader]
        assert batches == [expected[a : a + 4] for a in range(0, len(expected), 4)]
        assert len(loader) == len(batches)
        in_batches = DataLoader(data, batch_sampler=BatchSampler(sampler, 4, False))
        batched = [x.tolist() for (x,) in in_batches]
        assert batched == batches
    shuffled = DistributedSampler(data, seed=7)
    loader = DataLoader(data, 23, sampler=shuffled)
    first, again = [[x.tolist() for (x,) in loader] for _ in range(2)]
    shuffled.set_epoch(1)
    assert first == again != [x.tolist() for (x,) in loader]
    everywhere = [n for part in gathered(first) for n in part[0]]
    assert set(everywhere) == set(range(23))


def after_init_process_group_loaders_give_all_samples():
    size = dist.get_world_size()
    data = TensorDataset(dtrain.arange(13))
    dist.init_process_group()
    try:
        loader = DataLoader(data, 4)
        assert [x.tolist() for (x,) in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12]]
        assert len(loader) == 4
        state = loader.state_dict()
        DataLoader(data, 4).load_state_dict(state)
        if size > 1:
            with pytest.raises(RuntimeError, match="gives each rank its own samples"):
                next(loader.steps())
        sharded = DataLoader(data, 1, microbatches=size)
        seen = [n for (x,) in sharded for n in x.tolist()]
    finally:
        dist.destroy_process_group()
    assert sorted(n for part in gathered(seen) for n in part) == list(range(13))
    with pytest.raises(ValueError, match=f"rank from 0 to {size - 1}, got rank={size}"):
        DistributedSampler(data, rank=size)
