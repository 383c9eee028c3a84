"""What must hold on every rank; run on ranks that are threads, and under mpirun.

Every function here whose name does not begin with an underscore is a body: it takes nothing and
asserts. `_alone` runs a function in a world of one, for the bits to compare with.
"""

import functools

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest
from dtrain.data import DataLoader, TensorDataset
from dtrain.distributed.comm import tree_reduce
from dtrain.distributed.world import communicator
from dtrain.errors import DesyncError
from dtrain.nn import functional as F
from tests.cases.layer_case import filled, tensors, weighed
from tests.cases.layer_cases import MODULES
from tests.cases.optimizer_cases import BY_PARAMETER, OPTIMIZERS
from tests.gathered import from_rank_0, gathered

MICROBATCHES = 8


def _alone(function, *args, **options):
    return distributed.run_ranks(1, lambda: function(*args, **options))[0]


def _joined(lists):
    return [item for part in lists for item in part]


def _model():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(16, 5),
    )


def _data(samples=53):
    g = dtrain.Generator(1)
    x = dtrain.randn(samples, 1, 4, 4, generator=g)
    return TensorDataset(x, dtrain.randint(0, 5, (samples,), generator=g))


def _train(samples=53, epochs=2, batch_size=2, make_optimizer=None, model=None, **options):
    """Train on a short last step of uneven microbatches; returns the digest of all state."""
    dtrain.manual_seed(3)
    model = DataParallel(model() if model else _model(), **options)
    optimizer = (make_optimizer or _sgd)(model.parameters())
    loader = DataLoader(_data(samples), batch_size, shuffle=True, microbatches=MICROBATCHES)
    for _ in range(epochs):
        for step in loader.steps(one_backward=True):
            for x, y in step:
                F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    return digest(model.state_dict())


def _sgd(params):
    return dtrain.optim.SGD(params, lr=0.05, momentum=0.9)


def ranks_of_a_machine_have_numbers_of_their_own():
    numbers = sorted(gathered(distributed.local_rank()))
    assert numbers == list(range(distributed.world_size()))


def _adam(params):
    return dtrain.optim.AdamW(params, lr=0.01)


def weights_do_not_depend_on_world_size():
    assert _train() == _alone(_train)


def weights_do_not_depend_on_world_size_with_adam():
    assert _train(make_optimizer=_adam) == _alone(lambda: _train(make_optimizer=_adam))


class _AllModules(nn.Module):
    """Every module of the table, on inputs of its own that the number of the sample decides."""

    def __init__(self):
        super().__init__()
        # a synchronized batch has all of its microbatches at once: see below
        self.rows = {name: row for name, row in MODULES.items() if "Sync" not in name}
        self.layers = nn.ModuleList(filled(row, nn) for row in self.rows.values())
        self.gains = nn.ParameterList(
            dtrain.ones(shape) for row in self.rows.values() for shape in row.shapes
        )

    def forward(self, samples):
        gains, losses = iter(self.gains), []
        for row, layer in zip(self.rows.values(), self.layers):
            inputs = [
                x * next(gains) if x.requires_grad else x for x in tensors(row, dtrain, samples[0])
            ]
            loss = weighed(dtrain, row.run(nn, layer, *inputs))
            losses += [] if loss is None else [loss]
        return dtrain.stack(losses).mean()

    def trained(self):
        """Digests of each layer's state, by row, after two steps."""
        model = DataParallel(self)
        optimizer = dtrain.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        data = TensorDataset(dtrain.arange(4 * MICROBATCHES))
        for step in DataLoader(data, 2, microbatches=MICROBATCHES).steps(one_backward=True):
            for (samples,) in step:
                model(samples.tolist()).backward()
            optimizer.step()
            optimizer.zero_grad()
        own = {name: digest(layer.state_dict()) for name, layer in zip(self.rows, self.layers)}
        return own | {"inputs": digest(self.gains.state_dict())}


def _trained_modules():
    dtrain.manual_seed(3)
    return _AllModules().trained()


def _stepped_optimizers():
    def stepped(name, options):
        def make(params):
            params = [p for p in params if name != "Muon" or p.ndim == 2]
            return getattr(dtrain.optim, name)(params, lr=0.01, **options)

        return _train(35, 1, make_optimizer=make)

    return {row: stepped(*how) for row, how in (OPTIMIZERS | BY_PARAMETER).items()}


@functools.cache
def _once_alone(function):
    return _alone(function)


def _rows_unlike_those_of_one_rank(function):
    """Which rows of a table differ; rank 0 makes those of one rank, once for all world sizes."""
    alone = from_rank_0(_once_alone(function) if distributed.rank() == 0 else None)
    rows = function()
    return [name for name in alone if rows[name] != alone[name]]


def layers_of_all_kinds_do_not_depend_on_world_size():
    assert _rows_unlike_those_of_one_rank(_trained_modules) == []


def optimizers_of_all_kinds_do_not_depend_on_world_size():
    assert _rows_unlike_those_of_one_rank(_stepped_optimizers) == []


def fewer_samples_than_microbatches_in_the_last_step():
    assert _train(samples=16 + 3) == _alone(lambda: _train(samples=16 + 3))


def all_ranks_have_the_same_weights():
    assert len(set(gathered(_train()))) == 1


def bits_do_not_depend_on_bucket_size():
    def small_buckets():
        dtrain.manual_seed(3)
        model = DataParallel(_model(), bucket_bytes=64)
        return model, _one_step_gradients(model)

    model, small = small_buckets()
    assert len(model._gradients._reducers) > 3
    dtrain.manual_seed(3)
    assert small == _one_step_gradients(DataParallel(_model()))


def _one_step_gradients(model):
    loader = DataLoader(_data(), 2, microbatches=MICROBATCHES)
    for x, y in next(loader.steps()):
        F.cross_entropy(model(x), y).backward()
    return digest({name: p.grad for name, p in model.named_parameters()})


def the_simple_loop_equals_one_big_batch():
    """Without BatchNorm and dropout, ranks with a batch each have the gradient of all samples."""
    size = distributed.world_size()
    data = _data(size * 4 + size + 1)  # the last step is short and uneven

    def model():
        dtrain.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 5)).double()

    parallel, single = DataParallel(model()), model()
    loader = DataLoader(data, 4)
    big = DataLoader(data, 4 * size, microbatches=size)
    assert len(loader) == 2
    seen = []
    for x, y in loader:
        parallel.zero_grad()
        F.cross_entropy(parallel(x.double()), y).backward()
        seen.append([p.grad.numpy().copy() for p in parallel.parameters()])
    order = np.arange(len(data))
    for step in range(2):
        x, y = data[dtrain.from_numpy(order[step * 4 * size : (step + 1) * 4 * size])]
        single.zero_grad()
        F.cross_entropy(single(x.double()), y).backward()
        for have, param in zip(seen[step], single.parameters()):
            np.testing.assert_allclose(have, param.grad.numpy(), rtol=1e-12, atol=1e-14)
    del big


def a_loop_without_a_loader_averages_over_ranks():
    rank, size = distributed.rank(), distributed.world_size()
    model = DataParallel(nn.Linear(1, 1, bias=False))
    (model(dtrain.full((1, 1), float(rank + 1)))).sum().backward()
    assert model.module.weight.grad.item() == pytest.approx((size + 1) / 2)


def gradients_that_were_not_zeroed_are_added_to():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    for _ in range(3):
        model(dtrain.ones(1, 1)).sum().backward()
    assert model.module.weight.grad.item() == 3


def zero_grad_between_forward_and_backward_works():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    for _ in range(3):
        loss = model(dtrain.ones(1, 1)).sum()
        model.zero_grad()
        loss.backward()
    assert model.module.weight.grad.item() == 1


def two_losses_of_one_microbatch_add_up():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    loader = DataLoader(TensorDataset(dtrain.ones(16, 1)), 2, microbatches=MICROBATCHES)
    for (x,) in next(loader.steps()):
        out = model(x).mean()
        out.backward(retain_graph=True)
        (2 * out).backward()
    assert model.module.weight.grad.item() == 3


def a_parameter_that_one_rank_uses_is_trained_on_all():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.always, self.sometimes, self.never = (nn.Linear(1, 1, False) for _ in range(3))

        def forward(self, x):
            return self.sometimes(x) if x.sum().item() == 0 else self.always(x)

    model = DataParallel(Branches())
    loader = DataLoader(
        TensorDataset(dtrain.arange(8, dtype=dtrain.float32).unsqueeze(1)), 1, microbatches=8
    )
    for (x,) in next(loader.steps()):
        (model(x) - 1).sum().backward()
    assert model.module.sometimes.weight.grad is not None
    assert model.module.always.weight.grad.item() == pytest.approx(sum(range(1, 8)) / 8)
    assert model.module.never.weight.grad is None


def stepping_before_the_step_is_whole_is_an_error():
    model = DataParallel(nn.Linear(1, 1))
    optimizer = _sgd(model.parameters())
    loader = DataLoader(TensorDataset(dtrain.ones(16, 1)), 1, microbatches=MICROBATCHES)
    for (x,) in next(loader.steps()):
        model(x).sum().backward()
        with pytest.raises(RuntimeError, match="not summed over the ranks yet"):
            optimizer.step()


def a_step_left_by_break_is_forgotten():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    loader = DataLoader(TensorDataset(dtrain.ones(16, 1)), 2, microbatches=MICROBATCHES)
    steps = loader.steps()
    for (x,) in next(steps):
        (100 * model(x)).mean().backward()
        break
    for (x,) in next(loader.steps()):
        model(x).mean().backward()
    assert model.module.weight.grad.item() == 1


def gradients_that_the_user_kept_outlive_a_step_left_by_break():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    weight = model.module.weight
    loader = DataLoader(TensorDataset(dtrain.ones(16, 1)), 2, microbatches=MICROBATCHES)
    for (x,) in next(loader.steps()):
        (5 * model(x)).mean().backward()
    assert weight.grad.item() == 5
    for (x,) in next(loader.steps()):
        model(x)  # a forward pass alone, and the step is left
        break
    assert weight.grad.item() == 5
    for (x,) in next(loader.steps()):
        model(x).mean().backward()
    assert weight.grad.item() == 6


def steps_use_their_buffers_again_also_those_left_by_break():
    count = 4 * distributed.world_size()
    for dtype in (dtrain.float32, dtrain.float16):
        model = DataParallel(nn.Linear(1, 1, bias=False, dtype=dtype))
        bucket = model.module.weight._bucket
        made = []
        bucket.new_grads = lambda *args, made=made, new=bucket.new_grads: (
            made.append(1) or new(*args)
        )
        data = TensorDataset(dtrain.ones(2 * count, 1, dtype=dtype))
        counts = []
        for number in range(8):
            step = next(DataLoader(data, 2, microbatches=count).steps())
            for index, (x,) in enumerate(step):
                model(x).mean().backward()
                if index == 2 and number % 2:
                    break
            counts.append(len(made))
        assert counts[3:] == [counts[3]] * 5


def forward_passes_without_backward_leave_the_gradients_alone():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    data = TensorDataset(dtrain.ones(16, 1))
    for (x,) in DataLoader(data, 2, microbatches=distributed.world_size()):
        model.zero_grad()
        model(x).mean().backward()
    for (x,) in DataLoader(data, 1):
        model(x)
    for step in DataLoader(data, 1, microbatches=MICROBATCHES).steps():
        for (x,) in step:
            model(x)
    assert model.module.weight.grad.item() == 1


def microbatches_without_backward_count_as_zeros():
    model = DataParallel(nn.Linear(1, 1, bias=False))
    loader = DataLoader(TensorDataset(dtrain.ones(16, 1)), 2, microbatches=MICROBATCHES)
    model(dtrain.ones(1, 1)).sum().backward()  # was there before: the same on every rank
    for index, (x,) in enumerate(next(loader.steps())):
        loss = model(x).mean()
        if index == 0 and distributed.rank() == distributed.world_size() - 1:
            loss.backward()
    assert model.module.weight.grad.item() == 1 + 1 / MICROBATCHES


def batch_norm_statistics_are_folded_in_the_order_of_the_microbatches():
    def statistics():
        model = DataParallel(nn.BatchNorm2d(1))
        for step in DataLoader(_data(), 2, shuffle=True, microbatches=MICROBATCHES).steps():
            with dtrain.no_grad():
                for x, _ in step:
                    model(x)
        return digest(dict(model.module.named_buffers()))

    assert statistics() == _alone(statistics)


def _synchronized(norm=nn.SyncBatchNorm):
    dtrain.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 6), norm(6)
    ).double()


def _batch_norm(channels):
    return nn.BatchNorm2d(channels) if channels == 4 else nn.BatchNorm1d(channels)


def _state_and_gradients(model):
    gradients = {f"{name}.grad": p.grad for name, p in model.named_parameters()}
    return {name: value.numpy().copy() for name, value in (model.state_dict() | gradients).items()}


def _synchronized_steps():
    """What two steps leave; the last is short: ranks have unequal batches, or empty ones."""
    size = distributed.world_size()
    model = DataParallel(_synchronized())
    seen = []
    for x, y in DataLoader(_data(size * 4 + size + 1), 4):
        model.zero_grad()
        F.cross_entropy(model(x.double() * 3 + 100), y).backward()
        seen.append(_state_and_gradients(model.module))
    assert len(seen) == 2
    return seen


def sync_batch_norm_is_batch_norm_of_the_global_batch():
    seen, whole = _synchronized_steps(), _synchronized(_batch_norm)
    batch = 4 * distributed.world_size()
    x, y = _data(batch + distributed.world_size() + 1).tensors
    for step in range(2):
        part = slice(step * batch, (step + 1) * batch)
        whole.zero_grad()
        F.cross_entropy(whole(x[part].double() * 3 + 100), y[part]).backward()
        for name, expected in _state_and_gradients(whole).items():
            np.testing.assert_allclose(
                seen[step][name], expected, rtol=1e-9, atol=1e-11, err_msg=f"{step} {name}"
            )


def sync_batch_norm_has_the_same_bits_on_all_ranks_and_on_threads():
    def bits():
        return [{k: v.tobytes() for k, v in step.items()} for step in _synchronized_steps()]

    everywhere = gathered(bits())
    assert everywhere == [everywhere[0]] * distributed.world_size()
    assert everywhere == distributed.run_ranks(distributed.world_size(), bits)


def sync_batch_norm_gives_the_input_the_gradient_of_its_own_loss():
    """Losses of ranks weigh as DataParallel weighs them: here alike."""
    rank, size = distributed.rank(), distributed.world_size()
    all_of_it = dtrain.randn(size, 3, 2, generator=dtrain.Generator(2), dtype=dtrain.float64)
    factors = dtrain.randn(size, 3, 2, generator=dtrain.Generator(3), dtype=dtrain.float64)
    whole = all_of_it.reshape(-1, 2).requires_grad_()
    (nn.BatchNorm1d(2).double()(whole) * factors.reshape(-1, 2)).sum().backward()
    x = all_of_it[rank].clone().requires_grad_()
    (DataParallel(nn.SyncBatchNorm(2).double())(x) * factors[rank]).sum().backward()
    expected = whole.grad.reshape(size, 3, 2)[rank].numpy()
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-9, atol=1e-12)


def sync_batch_norm_normalizes_a_batch_far_from_zero():
    size = distributed.world_size()
    model = DataParallel(nn.SyncBatchNorm(1, affine=False))
    out = model(dtrain.arange(4.0).reshape(4, 1) + 4096 * (distributed.rank() + 1))
    values = np.arange(4) + 4096 * np.arange(1, size + 1)[:, None]
    expected = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
    np.testing.assert_allclose(
        out.numpy()[:, 0], expected[distributed.rank()], rtol=1e-5, atol=1e-6
    )


def sync_batch_norm_refuses_microbatches_that_do_not_run_at_once():
    size = distributed.world_size()
    model = DataParallel(_synchronized())
    batches = iter(next(DataLoader(_data(), 2, microbatches=size + 1).steps()))
    x, _ = next(batches)
    said = f"SyncBatchNorm: .* has {size + 1} microbatches on {size} ranks: run {size + 1} ranks"
    with pytest.raises(RuntimeError, match=said):
        model(x.double())


def sync_batch_norm_refuses_one_value_on_all_ranks_together():
    model = DataParallel(nn.SyncBatchNorm(2))
    with pytest.raises(ValueError, match=r"more than 1 value per channel.* 1 values on all ranks"):
        model(dtrain.ones(1 if distributed.rank() == 0 else 0, 2))


def sync_batch_norm_in_evaluation_is_batch_norm_of_any_microbatch():
    model = DataParallel(nn.SyncBatchNorm(2)).eval()
    model.module.running_mean.fill_(1)
    if distributed.rank() == 0:  # the others need not take part
        np.testing.assert_allclose(model(dtrain.ones(1, 2)).tolist(), [[0, 0]])


def sync_batch_norm_refuses_second_derivatives():
    x = dtrain.randn(3, 2, requires_grad=True)
    out = DataParallel(nn.SyncBatchNorm(2))(x).pow(2).sum()
    with pytest.raises(NotImplementedError, match="SyncBatchNorm: second derivatives"):
        dtrain.autograd.grad(out, x, create_graph=True)


def the_ranks_begin_with_the_weights_of_rank_0():
    model = nn.Linear(3, 2)
    with dtrain.no_grad():
        model.weight += distributed.rank()
    expected = from_rank_0(model.weight.tolist())
    assert DataParallel(model).module.weight.tolist() == expected


def a_model_unlike_rank_0s_is_named():
    if distributed.world_size() == 1:
        return
    width = 4 if distributed.rank() == distributed.world_size() - 1 else 3
    difference = r"rank 0 has 1\.weight \(3, 2\).*rank \d has 1\.weight \(4, 2\)"
    with pytest.raises(DesyncError, match=difference):
        DataParallel(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, width)))


def another_seed_on_one_rank_is_named():
    if distributed.world_size() == 1:
        return
    dtrain.manual_seed(7 if distributed.rank() == 1 else 0)
    with pytest.raises(DesyncError, match="rank 1 has the seed 7, rank 0 has 0"):
        DataParallel(nn.Linear(2, 2))


def the_tree_gives_one_sum_for_any_world_size():
    comm = communicator()
    for count in (comm.size, comm.size + 1, 8, 11, 16):
        if count < comm.size:
            continue
        values = np.random.default_rng(count).standard_normal((count, 37)).astype(np.float32)
        values *= 10.0 ** np.random.default_rng(1).integers(-4, 4, values.shape).astype(np.float32)
        low, high = tree_reduce.microbatch_range(comm.rank, comm.size, count)
        total = tree_reduce.TreeAccumulator(count, lambda a, b: np.add(a, b, out=a))
        for index in range(low, high):
            total.push(index, values[index].copy())
        out = np.empty(37, np.float32)
        comm.all_reduce([flat for _, _, flat in total.partials], out, count)

        def tree(a, b, values=values):
            if b - a == 1:
                return values[a]
            middle = tree_reduce.split(a, b)
            return tree(a, middle) + tree(middle, b)

        assert out.tobytes() == tree(0, count).tobytes()


def all_reduce_combines_tensors():
    rank, size = distributed.rank(), distributed.world_size()
    ranks = np.arange(size)
    x = dtrain.tensor([[float(rank), 1.0]])
    assert distributed.all_reduce(x.clone()).tolist() == [[ranks.sum(), size]]
    assert distributed.all_reduce(x.clone(), "mean").tolist() == [[pytest.approx(ranks.mean()), 1]]
    assert distributed.all_reduce(x.clone(), "max").tolist() == [[size - 1, 1]]
    assert distributed.all_reduce(x.clone(), "min").tolist() == [[0, 1]]
    assert distributed.all_reduce(dtrain.tensor(rank)).item() == ranks.sum()
    with pytest.raises(ValueError, match="expected op"):
        distributed.all_reduce(x, "median")


def every_sample_is_seen_once():
    data = TensorDataset(dtrain.arange(53))
    for loader in (DataLoader(data, 3), DataLoader(data, 3, shuffle=True)):
        own = [n for (x,) in loader for n in x.tolist()]
        assert sorted(_joined(gathered(own))) == list(range(53))


def the_loader_deals_the_same_steps_to_any_world_size():
    def steps():
        loader = DataLoader(_data(), 2, shuffle=True, seed=9, microbatches=MICROBATCHES)
        return [[y.tolist() for _, y in s if len(y)] for _ in range(2) for s in loader.steps()]

    ranks = gathered(steps())
    together = [_joined(parts) for parts in zip(*ranks)]
    assert together == _alone(steps)


def a_rank_without_a_sample_gets_an_empty_batch():
    size = distributed.world_size()
    sizes = [len(x) for (x,) in DataLoader(TensorDataset(dtrain.arange(2 * size + 1)), 2)]
    assert sizes == [2, 1 if distributed.rank() == 0 else 0]


def random_numbers_belong_to_the_microbatch():
    def drawn():
        loader = DataLoader(TensorDataset(dtrain.arange(16)), 1, microbatches=MICROBATCHES)
        return [(int(x), dtrain.rand(2).tolist()) for step in loader.steps() for (x,) in step]

    everything = sorted(_joined(gathered(drawn())))
    assert everything == sorted(_alone(drawn))
    assert len({tuple(numbers) for _, numbers in everything}) == 16
    outside = gathered(dtrain.rand(2).tolist())
    assert all(numbers == outside[0] for numbers in outside)


def too_few_microbatches_are_refused():
    size = distributed.world_size()
    if size > 1:
        with pytest.raises(ValueError, match=f"microbatches={size - 1} on {size} ranks"):
            DataLoader(_data(), 2, microbatches=size - 1)
    loader = DataLoader(_data(), 2, microbatches=size + 1)
    with pytest.raises(RuntimeError, match=r"loader\.steps\(\)"):
        next(iter(loader))
