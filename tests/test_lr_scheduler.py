"""Schedules of the learning rate."""

import json
import math

import pytest

import dtrain
from dtrain import optim
from dtrain.checkpoint import load_checkpoint, save_checkpoint
from dtrain.optim import lr_scheduler as lrs, swa_utils


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
    "CosineAnnealingWarmRestarts": (
        lambda o: lrs.CosineAnnealingWarmRestarts(o, 3),
        [1, 0.75, 0.25, 1, 0.75],
    ),
}
each_schedule = pytest.mark.parametrize(
    ("make", "expected"), SCHEDULES.values(), ids=SCHEDULES.keys()
)


@each_schedule
def test_rates_follow_the_formula(make, expected):
    optimizer = optimizer_of(1.0)
    assert rates_of(optimizer, make(optimizer), 4) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_cycle_raises_the_rate_and_lowers_the_momentum(kind):
    optimizer = kind([dtrain.ones(1)], lr=0.1)
    scheduler = lrs.CyclicLR(optimizer, 0.25, 1.0, 2, base_momentum=0.7, max_momentum=0.9)
    (group,), seen = optimizer.param_groups, []
    for _ in range(5):
        seen.append((group["lr"], group["momentum"] if "momentum" in group else group["betas"][0]))
        scheduler.step()
    expected = [(0.25, 0.9), (0.625, 0.8), (1, 0.7), (0.625, 0.8), (0.25, 0.9)]
    assert seen == [pytest.approx(pair) for pair in expected]


def test_restarts_end_at_the_smallest_rate():
    optimizer = optimizer_of(1.0)
    schedule = lrs.CosineAnnealingWarmRestarts(optimizer, 3, eta_min=0.2)
    assert rates_of(optimizer, schedule, 3) == pytest.approx([1, 0.8, 0.4, 1])


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
    assert (scheduler.last_epoch, scheduler.get_last_lr()) == (3, [0.25])  # the rate of epoch 3
    scheduler.step()
    assert scheduler.get_last_lr() == [0.125]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: lrs.StepLR("sgd", 1), TypeError, "StepLR: str is not an Optimizer"),
        (lambda o: lrs.LinearLR(o, 0), ValueError, "0 < start_factor"),
        (lambda o: lrs.StepLR(o, 0), ValueError, "StepLR: expected step_size >= 1, got 0"),
        (lambda o: lrs.StepLR(o, 1, "x"), TypeError, "StepLR: gamma: expected a number, got str"),
        (lambda o: lrs.CosineAnnealingLR(o, 0), ValueError, "expected T_max >= 1, got 0"),
        (lambda o: lrs.CyclicLR(o, 0.1, 1, 0), ValueError, "expected step_size_up >= 1"),
        (lambda o: lrs.MultiStepLR(o, [2.5]), ValueError, "expected whole milestones, got 2.5"),
        (
            lambda o: lrs.OneCycleLR(o, 1.0, 9, div_factor=0),
            ValueError,
            "div_factor .*other than 0",
        ),
        (lambda o: lrs.OneCycleLR(o, 1.0, epochs=-1, steps_per_epoch=-1), ValueError, "epochs"),
        (lambda o: lrs.LambdaLR(o, 0.5), TypeError, "LambdaLR: expected functions of the epoch"),
        (lambda o: lrs.LambdaLR(o, lambda n: None), TypeError, "NoneType"),
        (lambda o: lrs.ReduceLROnPlateau("sgd"), TypeError, "str is not an Optimizer"),
        (lambda o: lrs.SequentialLR(o, ["x", "y"], [1]), TypeError, "schedule 0 is a str"),
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


# --- at the edges: numbers written down from PyTorch 2.13 ---


def some_rates(schedule, steps, group=0):
    """The rates of one group, after each of some steps."""
    rates = []
    for _ in range(steps):
        schedule.optimizer.step()
        schedule.step()
        rates.append(schedule.optimizer.param_groups[group]["lr"])
    return rates


BEGUN_LATE = {  # at epoch 2 with a rate of 0.25: the rates of epoch 3 and of the three after
    "LambdaLR": (lambda o, **k: lrs.LambdaLR(o, lambda n: 0.5**n, **k), [0.125, 0.0625, 0.03125]),
    "MultiplicativeLR": (
        lambda o, **k: lrs.MultiplicativeLR(o, lambda n: 0.5, **k), [0.25, 0.125, 0.0625],
    ),
    "StepLR": (lambda o, **k: lrs.StepLR(o, 3, 0.5, **k), [0.125, 0.125, 0.125]),
    "MultiStepLR": (lambda o, **k: lrs.MultiStepLR(o, [3, 5], 0.5, **k), [0.125, 0.125, 0.0625]),
    "ExponentialLR": (lambda o, **k: lrs.ExponentialLR(o, 0.5, **k), [0.25, 0.125, 0.0625]),
    "LinearLR": (lambda o, **k: lrs.LinearLR(o, 0.5, 1, 4, **k), [0.25, 0.2857142857, 0.2857142857]),
    "ConstantLR": (lambda o, **k: lrs.ConstantLR(o, 0.5, 4, **k), [0.25, 0.5, 0.5]),
    "PolynomialLR": (lambda o, **k: lrs.PolynomialLR(o, 5, **k), [0.25, 0.125, 0.0]),
    "CosineAnnealingLR": (
        lambda o, **k: lrs.CosineAnnealingLR(o, 5, **k), [0.25, 0.0690983006, 0.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), BEGUN_LATE.values(), ids=BEGUN_LATE)
def test_a_schedule_begun_late_makes_no_step_too_many(make, expected):
    optimizer = optimizer_of(0.25)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    schedule = make(optimizer, last_epoch=2)
    first = schedule.get_last_lr()
    assert [*first, *some_rates(schedule, 2)] == pytest.approx(expected)


def test_a_group_that_is_added_later_is_scheduled_or_refused():
    for make, expected in (
        (lambda o: lrs.StepLR(o, 1, 0.5), 1.0),
        (lambda o: lrs.ExponentialLR(o, 0.5), 1.0),
        (lambda o: lrs.LinearLR(o, 0.5, 1, 2), 3.0),
        (lambda o: lrs.CosineAnnealingLR(o, 4), 2 * (1 + math.cos(math.pi / 4)) / 2),
    ):
        optimizer = optimizer_of(1.0)
        schedule = make(optimizer)
        optimizer.add_param_group({"params": [dtrain.ones(1)], "lr": 2.0})
        schedule.step()
        assert schedule.get_last_lr()[1] == optimizer.param_groups[1]["lr"]
        assert schedule.get_last_lr()[1] == pytest.approx(expected)
    for make in (
        lambda o: lrs.LambdaLR(o, lambda n: 0.5),
        lambda o: lrs.MultiplicativeLR(o, lambda n: 0.5),
        lambda o: lrs.CosineAnnealingWarmRestarts(o, 3),
        lambda o: lrs.CyclicLR(o, 0.1, 1.0, 2, cycle_momentum=False),
        lambda o: lrs.OneCycleLR(o, 1.0, 9, cycle_momentum=False),
        lambda o: swa_utils.SWALR(o, 0.1),
    ):
        optimizer = optimizer_of(1.0)
        schedule = make(optimizer)
        rate = optimizer.param_groups[0]["lr"]
        optimizer.add_param_group({"params": [dtrain.ones(1)], "lr": 2.0})
        with pytest.raises(ValueError, match=r"arameter group 1 (was added|has no)"):
            schedule.step()
        assert [group["lr"] for group in optimizer.param_groups] == [rate, 2.0]


def test_lines_and_powers_end_and_stay():
    assert some_rates(lrs.LinearLR(optimizer_of(1.0), 1.0, 0.0, 2), 4) == [0.5, 0, 0, 0]
    assert some_rates(lrs.LinearLR(optimizer_of(1.0), 0.5, 1.0, 0), 2) == [0.5, 0.5]
    assert some_rates(lrs.PolynomialLR(optimizer_of(1.0), 2), 3) == [0.5, 0, 0]
    assert some_rates(lrs.PolynomialLR(optimizer_of(1.0), 0), 2) == [1, 1]
    assert some_rates(lrs.ConstantLR(optimizer_of(1.0), 0.5, 0), 2) == [0.5, 0.5]
    down = lrs.CyclicLR(optimizer_of(1.0), 0.0, 1.0, 2, 0, cycle_momentum=False)
    assert some_rates(down, 4) == [0.5, 0, 0.5, 0]


def test_one_cycle_has_two_phases_or_three():
    for options, expected in (
        ({"final_div_factor": 1}, [0.625, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25]),
        (
            {"final_div_factor": 0.25, "three_phase": True},
            [0.625, 1, 0.625, 0.25, 0.4375, 0.625, 0.8125, 1],
        ),
    ):
        schedule = lrs.OneCycleLR(
            optimizer_of(1.0), 1.0, 9, pct_start=1 / 3, anneal_strategy="linear", div_factor=4,
            cycle_momentum=False, **options,
        )  # fmt: skip
        assert some_rates(schedule, 8) == pytest.approx(expected)


def test_a_formula_that_divides_by_zero_is_told_with_its_options():
    schedule = lrs.ConstantLR(optimizer_of(1.0), 0.0, 2)
    schedule.step()
    with pytest.raises(
        ValueError, match=r"ConstantLR: there is no rate for epoch 2: .*'factor': 0"
    ):
        schedule.step()
    with pytest.raises(ValueError, match="OneCycleLR: there is no rate for epoch 0"):
        lrs.OneCycleLR(optimizer_of(1.0), 1.0, 10, pct_start=0.1, cycle_momentum=False)


def test_members_of_members():
    def plain(optimizer):
        warm = lrs.ChainedScheduler(
            [lrs.ConstantLR(optimizer, 0.5, 2), lrs.ExponentialLR(optimizer, 0.5)]
        )
        return warm, lrs.SequentialLR(
            optimizer, [lrs.ExponentialLR(optimizer, 0.5), lrs.ConstantLR(optimizer, 0.25, 9)], [2]
        )

    optimizer = optimizer_of(1.0)
    chain, sequence = plain(optimizer)
    schedule = lrs.SequentialLR(optimizer, [lrs.ConstantLR(optimizer, 0.125, 9), chain], [1])
    assert some_rates(schedule, 4) == [0.5, 0.25, 0.25, 0.125]
    optimizer = optimizer_of(1.0)
    chain, sequence = plain(optimizer)
    schedule = lrs.SequentialLR(optimizer, [lrs.ConstantLR(optimizer, 0.125, 9), sequence], [1])
    assert some_rates(schedule, 5) == [1, 0.5, 0.25, 0.25, 0.25]
    for make in (
        lambda members: lrs.SequentialLR(optimizer, members, [1]),
        lrs.ChainedScheduler,
    ):
        with pytest.raises(ValueError, match="schedule 1 is a ReduceLROnPlateau"):
            make([lrs.ConstantLR(optimizer), lrs.ReduceLROnPlateau(optimizer)])


def test_a_rate_from_a_tensor_or_numpy_is_a_number():
    optimizer = optimizer_of(1.0)
    schedule = lrs.LambdaLR(optimizer, lambda n: dtrain.tensor(0.5))
    schedule.step()
    assert [type(group["lr"]) for group in optimizer.param_groups] == [float]
    optimizer.param_groups[0]["lr"] = dtrain.tensor(2.0)
    halves = lrs.ExponentialLR(optimizer, dtrain.tensor(0.5))
    halves.step()
    assert halves.get_last_lr() == [1.0]
    assert type(halves.state_dict()["gamma"]) is float


class Ramp:
    """A callable object, with a state of its own."""

    def __init__(self, slope):
        self.slope = slope

    def __call__(self, epoch):
        return self.slope * (epoch + 1)


@pytest.mark.parametrize("make", [lrs.LambdaLR, lrs.MultiplicativeLR])
def test_callable_objects_save_their_state_and_functions_none(make):
    function = lambda n: 1.0
    optimizer = optimizer_of(1.0, 1.0)
    schedule = make(optimizer, [Ramp(0.5), function])
    state = schedule.state_dict()
    assert state["lr_lambdas"] == [{"slope": 0.5}, None]
    other = make(optimizer_of(1.0, 1.0), [Ramp(7.0), function])
    other.load_state_dict(state)
    assert other.lr_lambdas[0].slope == 0.5
    with pytest.raises(ValueError, match="has 2 functions, expected 1"):
        make(optimizer_of(1.0), Ramp(1.0)).load_state_dict(state)
    cyclic = lrs.CyclicLR(optimizer, 0.1, 1.0, 2, scale_fn=Ramp(0.25), cycle_momentum=False)
    assert cyclic.state_dict()["_scale_fn_custom"] == {"slope": 0.25}


def test_milestones_come_back_from_a_checkpoint_folder(tmp_path):
    def begun():
        optimizer = optimizer_of(1.0)
        return optimizer, lrs.MultiStepLR(optimizer, [2, 5, 5], gamma=0.5)

    optimizer, schedule = begun()
    some_rates(schedule, 3)
    save_checkpoint(tmp_path, 3, optimizer=optimizer, schedule=schedule)
    optimizer, schedule = begun()
    load_checkpoint(tmp_path, optimizer=optimizer, schedule=schedule)
    assert some_rates(schedule, 3) == [0.5, 0.125, 0.125]
    schedule.step(4)
    assert schedule.get_last_lr() == [0.5]


def test_a_state_of_other_members_is_refused():
    optimizer = optimizer_of(1.0)
    two = lrs.ChainedScheduler([lrs.StepLR(optimizer, 1), lrs.StepLR(optimizer, 1)])
    with pytest.raises(ValueError, match="2 member schedules, expected 1"):
        lrs.ChainedScheduler([lrs.StepLR(optimizer, 1)]).load_state_dict(two.state_dict())
