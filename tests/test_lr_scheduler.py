"""Schedules of the learning rate."""

import json
import math

import pytest

import dtrain
from dtrain import optim
from dtrain.optim import lr_scheduler as lrs


def optimizer_of(*rates):
    return optim.SGD([{"params": [dtrain.ones(1)], "lr": rate} for rate in rates], lr=0.1)


def rates_of(optimizer, scheduler, steps):
    """The rates of the first group before each step and after the last."""
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    return [*rates, optimizer.param_groups[0]["lr"]]


SCHEDULES = {
    "LambdaLR": (lambda o: lrs.LambdaLR(o, lambda n: 1 / (n + 1)), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    "StepLR": (lambda o: lrs.StepLR(o, 2, gamma=0.5), [1, 1, 0.5, 0.5, 0.25]),
    "ExponentialLR": (lambda o: lrs.ExponentialLR(o, 0.5), [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
    "LinearLR": (lambda o: lrs.LinearLR(o, 0.25, 1, 3), [0.25, 0.5, 0.75, 1, 1]),
    "CosineAnnealingLR": (
        lambda o: lrs.CosineAnnealingLR(o, 4),
        [0.5 * (1 + math.cos(math.pi * n / 4)) for n in range(5)],
    ),
    "SequentialLR": (
        lambda o: lrs.SequentialLR(
            o, [lrs.LinearLR(o, 0.5, 1, 2), lrs.ExponentialLR(o, 0.5)], milestones=[2]
        ),
        [0.5, 0.75, 1, 0.5, 0.25],
    ),
}
each_schedule = pytest.mark.parametrize(
    ("make", "expected"), SCHEDULES.values(), ids=SCHEDULES.keys()
)


@each_schedule
def test_rates_follow_the_formula(make, expected):
    optimizer = optimizer_of(1.0)
    assert rates_of(optimizer, make(optimizer), 4) == pytest.approx(expected)


@each_schedule
def test_each_group_has_its_own_initial_rate(make, expected):
    optimizer = optimizer_of(1.0, 3.0)
    scheduler = make(optimizer)
    for wanted in expected[1:]:
        scheduler.step()
        assert scheduler.get_last_lr() == pytest.approx([wanted, 3 * wanted])
        assert [g["lr"] for g in optimizer.param_groups] == scheduler.get_last_lr()
        assert [g["initial_lr"] for g in optimizer.param_groups] == [1.0, 3.0]


@each_schedule
def test_a_schedule_saved_in_the_middle_goes_on_to_the_same_bits(make, expected):
    optimizer = optimizer_of(1.0)
    scheduler = make(optimizer)
    first = rates_of(optimizer, scheduler, 2)
    saved = json.loads(json.dumps(scheduler.state_dict()))  # as a checkpoint keeps it
    rate = optimizer.param_groups[0]["lr"]
    rest = rates_of(optimizer, scheduler, 20)

    again = optimizer_of(1.0)
    resumed = make(again)
    again.param_groups[0]["lr"] = rate
    resumed.load_state_dict(saved)
    assert resumed.last_epoch == 2
    assert resumed.get_last_lr() == [first[-1]]
    assert rates_of(again, resumed, 20) == rest


def test_two_schedules_act_on_one_optimizer():
    optimizer = optimizer_of(1.0)
    halves, tenths = lrs.ExponentialLR(optimizer, 0.5), lrs.StepLR(optimizer, 2, 0.1)
    rates = []
    for _ in range(4):
        halves.step()
        tenths.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5, 0.025, 0.0125, 0.000625])


def test_a_list_of_functions_is_one_a_group():
    optimizer = optimizer_of(1.0, 1.0)
    lrs.LambdaLR(optimizer, [lambda n: n + 1, lambda n: 10 * (n + 1)]).step()
    assert [g["lr"] for g in optimizer.param_groups] == [2, 20]


def test_a_schedule_may_begin_later():
    optimizer = optimizer_of(1.0)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    optimizer.param_groups[0]["lr"] = 0.25
    scheduler = lrs.ExponentialLR(optimizer, 0.5, last_epoch=2)
    assert (scheduler.last_epoch, scheduler.get_last_lr()) == (3, [0.125])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: lrs.StepLR("sgd", 1), TypeError, "StepLR: str is not an Optimizer"),
        (lambda o: lrs.LinearLR(o, 0), ValueError, "0 < start_factor"),
        (lambda o: lrs.LambdaLR(o, [abs, abs]), ValueError, "expected 1 functions, got 2"),
        (lambda o: lrs.ExponentialLR(o, 0.5, last_epoch=3), KeyError, "no 'initial_lr'"),
        (
            lambda o: lrs.SequentialLR(o, [lrs.StepLR(o, 1)], milestones=[1]),
            ValueError,
            "a milestone between every two",
        ),
        (
            lambda o: lrs.SequentialLR(
                o, [lrs.StepLR(o, 1), lrs.StepLR(optimizer_of(1.0), 1)], milestones=[1]
            ),
            ValueError,
            "of another optimizer",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(optimizer_of(1.0))
