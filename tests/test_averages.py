"""Averages of weights, and the statistics and rates that go with them."""

import pytest

import dtrain
from dtrain import nn
from dtrain.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    update_bn,
)


def set_weight(model, value):
    with dtrain.no_grad():
        model.weight.fill_(value)


def averaged_over(values, **options):
    model = nn.Linear(1, 1, bias=False)
    averaged = AveragedModel(model, **options)
    for value in values:
        set_weight(model, value)
        averaged.update_parameters(model)
    assert averaged.n_averaged.item() == len(values)
    return averaged.module.weight.item()


def test_the_mean_of_all():
    assert averaged_over([1.0, 2.0, 6.0]) == pytest.approx(3)


@pytest.mark.parametrize(
    "options", [{"avg_fn": get_ema_avg_fn(0.75)}, {"multi_avg_fn": get_ema_multi_avg_fn(0.75)}]
)
def test_the_mean_that_forgets(options):
    assert averaged_over([4.0, 8.0, 0.0], **options) == pytest.approx((4 * 0.75 + 8 * 0.25) * 0.75)


def test_it_is_a_model_with_a_state():
    averaged = AveragedModel(nn.Linear(2, 1))
    assert list(averaged.state_dict()) == ["n_averaged", "module.weight", "module.bias"]
    x = dtrain.ones(3, 2)
    assert averaged(x).tolist() == averaged.module(x).tolist()


@pytest.mark.parametrize("use_buffers", [False, True])
def test_buffers_are_taken_over_or_averaged(use_buffers):
    model = nn.BatchNorm1d(1)
    averaged = AveragedModel(model, use_buffers=use_buffers)
    for value in (2.0, 4.0):
        model.running_mean.fill_(value)
        averaged.update_parameters(model)
    assert averaged.module.running_mean.item() == (3 if use_buffers else 4)


def test_statistics_are_made_anew_from_the_data():
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1)).eval()
    model[0].running_mean.fill_(100)
    update_bn([dtrain.tensor([[1.0], [3.0]]), (dtrain.tensor([[5.0], [7.0]]), "target")], model)
    assert model[0].running_mean.item() == pytest.approx(4)
    assert model[0].momentum == 0.1
    assert not model.training


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_the_rate_goes_to_that_of_the_averages(strategy):
    optimizer = dtrain.optim.SGD([dtrain.ones(1, requires_grad=True)], lr=1.0)
    schedule = SWALR(optimizer, 0.1, anneal_epochs=4, anneal_strategy=strategy)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(6):
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] == 1
    assert rates[2] == pytest.approx(0.55)
    assert rates[4:] == pytest.approx([0.1] * 3)
    assert rates == sorted(rates, reverse=True)


def test_two_ways_to_average_are_refused():
    with pytest.raises(ValueError, match="avg_fn or multi_avg_fn, not both"):
        AveragedModel(nn.Linear(1, 1), avg_fn=get_ema_avg_fn(), multi_avg_fn=get_ema_multi_avg_fn())
