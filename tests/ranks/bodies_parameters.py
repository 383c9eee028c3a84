"""Parameters that change after DataParallel took the model: added, thawed, moved, loaded, copied."""

import copy
import pickle

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn, optim
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed.comm.blocks import copy_from_rank
from dtrain.distributed.world import communicator
from dtrain.errors import DesyncError
from dtrain.nn import functional as F
from dtrain.nn.utils import parametrizations
from dtrain.parallel import ZeroRedundancyOptimizer

from .bodies import _alone


def _model():
    dtrain.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))


def _loader(seed=1):
    rng = np.random.default_rng(0)
    x = dtrain.from_numpy(rng.normal(size=(36, 4)).astype(np.float32))
    y = dtrain.from_numpy(rng.integers(0, 3, 36))
    return DataLoader(TensorDataset(x, y), 2, microbatches=8, shuffle=True, seed=seed)


def _epoch(model, optimizer, seed=1):
    dtype = next(p for p in model.parameters()).dtype
    for step in _loader(seed).steps():
        for x, y in step:
            F.cross_entropy(model(x.to(dtype)), y).backward()
        optimizer.step()
        optimizer.zero_grad()


def _bits(model):
    return [t.detach().numpy().tobytes() for t in (*model.parameters(), *model.buffers())]


def _require_desync(message, run):
    """`run` names what differs between the ranks; a world of one has no other rank."""
    if distributed.world_size() == 1:
        run()
    else:
        with pytest.raises(DesyncError, match=message):
            run()


def _unfreeze(model):
    model.module[0].requires_grad_(True)


def _new_head(model):
    dtrain.manual_seed(9)
    model.module[3] = nn.Linear(6, 3)


def _new_head_by_table(model):
    dtrain.manual_seed(9)
    model.module._modules["3"] = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))


def _double(model):
    model.module.double()


def _double_half_of_it(model):
    model.module[3].weight.data = model.module[3].weight.data.clone()


def _assign(model):
    state = {name: value.clone() for name, value in _model().state_dict().items()}
    model.module.load_state_dict(state, assign=True)


def _reparametrize(model):
    parametrizations.weight_norm(model.module[0])


def _own_parameter(model):
    model.module[0].weight = nn.Parameter(dtrain.ones(6, 4) / 10)


def _more_layers(model):
    dtrain.manual_seed(9)
    model.module.append(nn.Linear(3, 3))


_CHANGES = [
    _unfreeze, _new_head, _new_head_by_table, _double, _double_half_of_it, _assign, _reparametrize,
    _own_parameter, _more_layers,
]  # fmt: skip


def _train_with(change, **options):
    """Train an epoch, change the model, and train on with an optimizer for all parameters."""
    net = _model()
    net[0].requires_grad_(False)
    model = DataParallel(net, **options)
    _epoch(model, optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1, momentum=0.9))
    change(model)
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    _epoch(model, optimizer, seed=2)
    _unfreeze(model)
    _epoch(model, optimizer, seed=3)
    return _bits(model)


def changed_models_have_the_bits_of_one_rank():
    for change in _CHANGES:
        assert _train_with(change) == _alone(_train_with, change), change


def changed_models_have_the_bits_of_one_rank_in_small_overlapped_buckets():
    for change in (_unfreeze, _new_head, _double_half_of_it):
        small = _train_with(change, bucket_bytes=40, overlap=True)
        assert small == _alone(_train_with, change)


def _train_as_if_new(change):
    """The same training, but the changed model gets a new DataParallel each time."""
    net = _model()
    net[0].requires_grad_(False)
    model = DataParallel(net)
    _epoch(model, optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1, momentum=0.9))
    change(model)
    model = DataParallel(copy.deepcopy(net))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    _epoch(model, optimizer, seed=2)
    model.module[0].requires_grad_(True)
    model, optimizer = copy.deepcopy((DataParallel(model.module), optimizer))
    _epoch(model, optimizer, seed=3)
    return _bits(model)


def a_changed_model_trains_like_a_new_data_parallel_of_it():
    for change in (_unfreeze, _new_head, _double, _more_layers):
        assert _train_with(change) == _train_as_if_new(change)


def optimizers_keep_their_state_when_buckets_are_laid_out_anew():
    def train(change):
        model = DataParallel(_model())
        optimizer = optim.AdamW(model.parameters(), lr=0.01)
        _epoch(model, optimizer)
        if change:  # the same values, in new memory: its neighbours get new buckets, too
            weight = model.module[3].weight
            weight.data = weight.data.clone()
        _epoch(model, optimizer, seed=2)
        return _bits(model), [s["exp_avg"].numpy().tobytes() for s in optimizer.state.values()]

    assert train(True) == train(False)


def freezing_and_thawing_in_every_step_keeps_the_buckets():
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    buckets = {id(p._bucket) for p in model.parameters()}
    for step in _loader().steps():
        for x, y in step:
            model.requires_grad_(False)
            model(x)
            model.requires_grad_(True)
            F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert {id(p._bucket) for p in model.parameters()} == buckets


def a_parameter_added_in_the_middle_of_a_step_is_refused():
    model = DataParallel(_model())

    def step():
        for x, y in next(_loader().steps()):
            F.cross_entropy(model(x), y).backward()
            if len(model.module) == 4:
                _more_layers(model)

    with pytest.raises(RuntimeError, match=r"4\.weight and 1 more was added, unfrozen"):
        step()


def a_new_layer_that_is_different_on_the_ranks_is_named():
    model = DataParallel(_model())
    dtrain.manual_seed(distributed.rank())
    model.module.append(nn.Linear(3, 3))
    dtrain.manual_seed(0)
    _require_desync(
        r"the value of 4\.weight is not the same.*same seed",
        lambda: _epoch(model, optim.SGD(model.parameters(), lr=0.1)),
    )


def a_layer_that_some_ranks_have_is_named():
    rank, size = distributed.rank(), distributed.world_size()
    model = DataParallel(_model())
    if rank == size - 1:
        model.module.append(nn.Linear(3, 3))
    _require_desync(
        rf"where rank 0 has no more, rank {size - 1} has 4\.wei",
        lambda: _epoch(model, optim.SGD(model.parameters(), lr=0.1)),
    )


def a_parameter_that_some_ranks_have_frozen_is_named():
    rank, size = distributed.rank(), distributed.world_size()
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    _epoch(model, optimizer)
    model.module[3].bias.requires_grad_(rank != size - 1)
    _require_desync(
        rf"3\.bias .* rank {size - 1} has 3\.bias .*, frozen", lambda: _epoch(model, optimizer)
    )


def weights_loaded_on_one_rank_are_named():
    rank = distributed.rank()
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    _epoch(model, optimizer)
    if rank == 0:
        model.module.load_state_dict({k: v + 1 for k, v in model.module.state_dict().items()})
    _require_desync(
        r"the value of 0\.weight is not the same on all ranks: ", lambda: _epoch(model, optimizer)
    )


def weights_that_one_rank_swaps_and_restores_are_no_error():
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    _epoch(model, optimizer)
    if distributed.rank() == 0:
        state = {name: value.clone() for name, value in model.module.state_dict().items()}
        model.module.load_state_dict(_model().state_dict())
        model.module.load_state_dict(state)
    _epoch(model, optimizer)
    assert len({tuple(bits) for bits in communicator().allgather(_bits(model))}) == 1


def a_rank_that_skips_the_optimizer_is_named():
    rank, size = distributed.rank(), distributed.world_size()
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def train():
        for number, step in enumerate(_loader().steps()):
            for x, y in step:
                F.cross_entropy(model(x), y).backward()
            if number == 1 and rank == size - 1:
                continue
            optimizer.step()

    _require_desync(rf"rank {size - 1} has written to parameters 6 times", lambda: train())


def _simple_loop(model, optimizer, skip, before_step=lambda number: None):
    """The loop of one microbatch a step; `skip(number)`: "backward", "step" or None."""
    for number, (x, y) in enumerate(DataLoader(_loader().dataset, 2)):
        loss = F.cross_entropy(model(x), y)
        if skip(number) == "backward":
            continue
        loss.backward()
        before_step(number)
        if skip(number) == "step":
            continue
        optimizer.step()
        optimizer.zero_grad()


def a_rank_that_skips_its_backward_pass_is_named():
    rank, size = distributed.rank(), distributed.world_size()
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def skip(number):
        return "backward" if number == 1 and rank == size - 1 else None

    message = rf"step 2, .*rank {size - 1} has written to parameters 6 times.*optimizer\.step\(\)"
    _require_desync(message, lambda: _simple_loop(model, optimizer, skip))


def a_rank_that_skips_its_optimizer_step_is_named():
    rank, size = distributed.rank(), distributed.world_size()
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def skip(number):
        return "step" if number == 1 and rank == size - 1 else None

    message = rf"step 2, .*rank {size - 1} has written to parameters 6 times.*optimizer\.step\(\)"
    _require_desync(message, lambda: _simple_loop(model, optimizer, skip))


def weights_written_through_data_on_one_rank_are_named():
    rank = distributed.rank()

    def shift(param):
        param.data[0] += 1e-3

    def replace(param):
        param.data = param.data + 1e-3

    def fill(param):
        param.data.detach().view(-1).mul_(1.5)

    def of_data(param):
        param.data.data.add_(1)

    for write in (shift, replace, fill, of_data):
        for is_frozen in (False, True):
            net = _model()
            net[3].requires_grad_(not is_frozen)
            model = DataParallel(net)
            optimizer = optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)

            def disturb(number, write=write, param=net[3].weight):
                if number == 0 and rank == 0:
                    write(param)

            run = _simple_loop
            _require_desync(
                r"the value of 3\.weight is not the same",
                lambda: run(model, optimizer, lambda number: None, disturb),  # noqa: B023
            )


def reading_data_on_one_rank_compares_nothing():
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    weight = model.module[0].weight

    def read(number):
        if distributed.rank() == 0:
            weight.data.norm().item()

    version = list(weight._version)
    _simple_loop(model, optimizer, lambda number: None, read)
    assert len(version) == len(weight._version) == 1


def a_new_layout_that_would_lose_error_feedback_is_refused():
    def change(model):
        model.module.append(nn.Linear(3, 3))

    for compression in ("bfloat16", "float16"):
        model = DataParallel(_model(), compression=compression)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        _epoch(model, optimizer)
        change(model)
        bits = _bits(model)
        with pytest.raises(RuntimeError, match=r"4\.weight, 4\.bias was added.*error feedback"):
            _epoch(model, optimizer)
        assert _bits(model) == bits
        fresh = DataParallel(model.module, compression=compression)  # as the message says
        _epoch(fresh, optim.SGD(fresh.parameters(), lr=0.1))


def a_new_layout_that_would_lose_sharded_state_is_refused():
    if distributed.world_size() == 1:
        return
    model = DataParallel(_model())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), optim.Adam, lr=0.01)
    _epoch(model, optimizer)
    weight = model.module[3].weight
    weight.data = weight.data.double()
    before = [param.detach().numpy().tobytes() for param in model.parameters()]
    with pytest.raises(RuntimeError, match=r"3\.weight was added, or moved.*consolidate_state_"):
        _epoch(model, optimizer)
    assert [param.detach().numpy().tobytes() for param in model.parameters()] == before


def different_options_of_optimizers_are_named():
    rank = distributed.rank()
    model = DataParallel(_model())
    optimizer = optim.SGD(model.parameters(), lr=0.1 if rank else 0.2)
    message = r"lr \(group 0\) of the optimizer SGD is 0\.2 on rank 0 and 0\.1 on rank 1"
    _require_desync(message, lambda: _epoch(model, optimizer))


def different_optimizers_are_named():
    rank = distributed.rank()
    model = DataParallel(_model())
    kind = optim.SGD if rank else optim.Adam
    optimizer = kind(model.parameters(), lr=0.1)
    _require_desync("rank 0 by Adam, rank 1 by SGD", lambda: _epoch(model, optimizer))


def a_dataset_in_another_order_is_named():
    rank = distributed.rank()
    samples = [dtrain.full((4,), float(i)) for i in range(40)]
    model = DataParallel(nn.Linear(4, 1))

    def train():
        for x in DataLoader(samples[:: -1 if rank == 1 else 1], 2, shuffle=True):
            model(x).sum().backward()

    _require_desync("sample 0 of the dataset is not the same.*sorted", train)


def copies_train_like_the_original():
    for compression in (None, "bfloat16"):
        model = DataParallel(_model(), compression=compression)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        _epoch(model, optimizer)
        pairs = [
            copy.deepcopy((model, optimizer)),
            copy.deepcopy((optimizer, model))[::-1],
            pickle.loads(pickle.dumps((model, optimizer))),
        ]
        _epoch(model, optimizer, seed=2)
        for copied in pairs:
            _epoch(*copied, seed=2)
            assert _bits(copied[0]) == _bits(model)


def averages_of_a_model_have_statistics_of_all_ranks():
    def average():
        model = DataParallel(_model())
        averaged = optim.swa_utils.AveragedModel(model)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for seed in range(2):
            _epoch(model, optimizer, seed)
            averaged.update_parameters(model)
        batches = (x for step in _loader().steps() for x, _ in step)
        optim.swa_utils.update_bn(batches, averaged)
        return _bits(averaged)

    assert average() == _alone(average)


def a_copy_of_the_inner_module_updates_its_own_statistics():
    model = DataParallel(_model())
    inner = copy.deepcopy(model.module)
    inner(dtrain.ones(4, 4))
    assert inner[1].num_batches_tracked.item() == 1


def arrays_of_any_layout_are_copied_from_a_rank_in_blocks():
    rank, root = distributed.rank(), distributed.world_size() // 2
    shapes = [((), "f4"), ((0, 3), "f8"), ((5,), "?"), ((7, 3), "f8"), ((1000,), "i2")]
    for block_bytes in (1, 7, 64, 1 << 20):
        arrays = [np.full(shape, 3 + rank, dtype) for shape, dtype in shapes]
        arrays.append(np.full((4, 6), 3 + rank, "f4").T[::2])
        arrays.append(np.full(3, 3 + rank, "u1"))
        copy_from_rank(communicator(), arrays, root, block_bytes)
        for array in arrays:
            assert (array == np.full_like(array, 3 + root)).all()


class _Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        dtrain.manual_seed(3)
        self.head = nn.Linear(4, 3)
        self.weight = nn.Parameter(dtrain.randn(3, 4, dtype=dtrain.complex64))

    def forward(self, x):
        return self.head(dtrain.fft.irfft(dtrain.fft.rfft(x.real) @ self.weight[:, :3], 4))


def _train_spectral(**options):
    model = DataParallel(_Spectral(), **options)
    _epoch(model, optim.Adam(model.parameters(), lr=1e-2))
    return _bits(model)


def complex_parameters_do_not_depend_on_world_size():
    assert _train_spectral() == _alone(_train_spectral)
