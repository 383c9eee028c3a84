"""Copies and pickles of models, optimizers, schedules and loaders go on like the original."""

import copy
import pickle

import numpy as np
import pytest

import dtrain
from dtrain import DataParallel, nn, optim
from dtrain.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from dtrain.optim import lr_scheduler as lrs, swa_utils
from tests.cases.optimizer_cases import BY_PARAMETER, OPTIMIZERS

WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda value: pickle.loads(pickle.dumps(value))}
each_way = pytest.mark.parametrize("copied", WAYS.values(), ids=WAYS)


def halved(epoch):
    return 0.5**epoch


def begun(name, options):
    """A model of two groups with an optimizer; one parameter never has a gradient."""
    dtrain.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False))
    model.unused = nn.Parameter(dtrain.ones(2, 2))
    params = list(model.parameters())
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.003}]
    return model, getattr(optim, name)(groups, lr=0.02, **options)


def train(model, optimizer, steps):
    for step in range(steps):
        x = dtrain.from_numpy(np.random.default_rng(step).normal(size=(5, 3)).astype(np.float32))
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
    return [p.detach().numpy().tobytes() for p in model.parameters()]


@each_way
@pytest.mark.parametrize(
    ("name", "options"), [*OPTIMIZERS.values(), *BY_PARAMETER.values()],
    ids=[*OPTIMIZERS, *BY_PARAMETER],
)  # fmt: skip
@pytest.mark.parametrize("order", [1, -1], ids=["model first", "optimizer first"])
def test_a_model_and_its_optimizer_go_on_to_the_same_bits(copied, name, options, order):
    model, optimizer = begun(name, options)
    train(model, optimizer, 3)
    pair = copied((model, optimizer)[::order])[::order]
    params = [p for group in pair[1].param_groups for p in group["params"]]
    assert all(a is b for a, b in zip(params, pair[0].parameters(), strict=True))
    assert set(optimizer.state_dict()["state"]) == set(pair[1].state_dict()["state"])
    whole = train(model, optimizer, 3)  # first the original: the copy shares nothing with it
    assert train(*pair, 3) == whole


@each_way
def test_an_optimizer_alone_is_copied_with_its_parameters(copied):
    model, optimizer = begun("Adam", {})
    train(model, optimizer, 3)
    other = copied(optimizer)
    for step in range(3):
        for mine, theirs in zip(optimizer.param_groups, other.param_groups):
            for a, b in zip(mine["params"], theirs["params"]):
                a.grad = dtrain.full(a.shape, step - 0.5)
                b.grad = dtrain.full(b.shape, step - 0.5)
        optimizer.step()
        other.step()
    for mine, theirs in zip(optimizer.param_groups, other.param_groups):
        assert [p.tolist() for p in mine["params"]] == [p.tolist() for p in theirs["params"]]
    assert other.defaults == optimizer.defaults


def test_a_shallow_copy_has_the_parameters_and_a_state_of_its_own():
    model, optimizer = begun("Adam", {})
    train(model, optimizer, 2)
    other = copy.copy(optimizer)
    train(model, optimizer, 1)
    param = optimizer.param_groups[1]["params"][0]  # the first group's has no gradient
    assert other.param_groups[1]["params"][0] is param
    assert [int(o.state[param]["step"]) for o in (optimizer, other)] == [3, 2]


def test_hooks_and_attributes_of_an_optimizer_are_copied():
    model, optimizer = begun("SGD", {})
    optimizer.note = "mine"
    calls = []
    optimizer.register_step_pre_hook(lambda *args: calls.append(args[0]))
    model, other = copy.deepcopy((model, optimizer))
    train(model, other, 1)
    assert calls == [other]
    assert other.note == "mine"


SCHEDULES = {
    "LambdaLR": lambda o: lrs.LambdaLR(o, halved),
    "MultiStepLR": lambda o: lrs.MultiStepLR(o, [1, 4], 0.5),
    "CosineAnnealingLR": lambda o: lrs.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lrs.CosineAnnealingWarmRestarts(o, 2, 2),
    "CyclicLR": lambda o: lrs.CyclicLR(o, 0.1, 1.0, 2),
    "OneCycleLR": lambda o: lrs.OneCycleLR(o, 1.0, total_steps=9),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.05, 5),
    "SequentialLR": lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.5, 1.0, 2), lrs.ExponentialLR(o, 0.5)], [4]
    ),
    "ChainedScheduler": lambda o: lrs.ChainedScheduler(
        [lrs.ConstantLR(o, 0.5, 4), lrs.ExponentialLR(o, 0.5)]
    ),
}


@each_way
@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_goes_on_with_the_copy_of_its_optimizer(copied, make):
    model, optimizer = begun("SGD", {"momentum": 0.9})
    schedule = make(optimizer)

    def options(parts, steps):
        seen = []
        for _ in range(steps):
            train(parts[0], parts[1], 1)
            parts[2].step()
            seen.append([g[key] for g in parts[1].param_groups for key in ("lr", "momentum")])
        return seen, train(parts[0], parts[1], 1)

    options((model, optimizer, schedule), 3)
    other = copied((model, optimizer, schedule))
    assert other[2].optimizer is other[1]
    assert options((model, optimizer, schedule), 4) == options(other, 4)


@each_way
def test_a_plateau_goes_on(copied):
    schedule = lrs.ReduceLROnPlateau(begun("SGD", {})[1], patience=1)
    schedule.step(1.0)
    schedule.step(1.0)
    other = copied(schedule)
    for one in (schedule, other):
        one.step(1.0)
    assert other.get_last_lr() == schedule.get_last_lr() == pytest.approx([0.002, 0.0003])


@each_way
def test_parameters_in_buckets_keep_values_gradients_and_ties(copied):
    layer = nn.Linear(2, 2)
    tied = nn.ModuleList([layer, nn.Linear(2, 2)])
    tied[1].weight = layer.weight
    model = DataParallel(tied)
    sum(p.sum() for p in tied.parameters()).backward()
    other = copied(tied)
    assert other[1].weight is other[0].weight
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert theirs.tolist() == mine.tolist()
        assert theirs.grad.tolist() == mine.grad.tolist()
        theirs.grad.zero_()
        assert mine.grad.all()
        assert type(theirs) is type(mine)
        assert theirs.requires_grad
    alone = copied(layer.weight)
    with dtrain.no_grad():
        alone.zero_()
    assert layer.weight.any()


@each_way
def test_an_average_goes_on(copied):
    model, optimizer = begun("SGD", {})
    averaged = swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    train(model, optimizer, 1)
    other = copied(averaged)
    for one in (averaged, other):
        one.update_parameters(model)
    for mine, theirs in zip(averaged.parameters(), other.parameters(), strict=True):
        assert mine.tolist() == theirs.tolist()
    assert int(other.n_averaged) == 2


NUMBERS = TensorDataset(dtrain.arange(11))
LOADERS = {
    "shuffled": lambda: DataLoader(NUMBERS, 2, shuffle=True, seed=5),
    "random": lambda: DataLoader(NUMBERS, 2, sampler=RandomSampler(NUMBERS, True, 14)),
    "weighted": lambda: DataLoader(NUMBERS, 2, sampler=WeightedRandomSampler(range(11), 9)),
    "subset": lambda: DataLoader(NUMBERS, 1, sampler=SubsetRandomSampler([9, 1, 3])),
    "batches": lambda: DataLoader(
        NUMBERS, batch_sampler=BatchSampler(RandomSampler(NUMBERS), 3, False)
    ),
}


@each_way
@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_a_loader_goes_on_in_its_next_epoch(copied, make):
    loader = make()
    first = [x.tolist() for (x,) in loader]
    other = copied(loader)
    rest = [[x.tolist() for (x,) in loader] for _ in range(2)]
    assert rest[0] != first
    assert [[x.tolist() for (x,) in other] for _ in range(2)] == rest


@each_way
def test_a_sampler_and_its_generator_go_on(copied):
    generator = dtrain.Generator().manual_seed(9)
    sampler = RandomSampler(range(20), generator=generator)
    dtrain.rand(3, generator=generator)
    list(sampler)
    again, other = copied((sampler, generator))
    assert again.generator is other
    assert list(again) == list(sampler)
    drawn = dtrain.rand(4, generator=generator).tolist()
    assert dtrain.rand(4, generator=other).tolist() == drawn
