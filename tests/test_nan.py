"""NaN in values and gradients: as in PyTorch."""

from __future__ import annotations

import math

import pytest

import dtrain
from dtrain.nn import functional as F

NAN = math.nan


def gradient(function, values):
    x = dtrain.tensor(values, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_gradient_of_an_extreme_goes_to_the_nans(name):
    assert gradient(lambda x: getattr(x, name)(), [1.0, NAN, 3.0]) == [0, 1, 0]
    assert gradient(lambda x: getattr(x, name)(), [NAN, 2.0, NAN, 1.0]) == [0.5, 0, 0.5, 0]
    assert gradient(lambda x: getattr(x, name)(), [2.0, 2.0]) == [0.5, 0.5]


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_amax_and_amin_of_nan_have_no_gradient_but_nan(name):
    assert all(map(math.isnan, gradient(lambda x: getattr(x, name)(), [1.0, NAN, 3.0])))


@pytest.mark.parametrize("name", ["relu6", "hardtanh", "hardshrink", "softshrink"])
def test_nan_passes_an_activation_with_its_gradient(name):
    function = getattr(F, name)
    assert math.isnan(function(dtrain.tensor([NAN])).item())
    expected = [1, 0, 1] if name in ("hardshrink", "softshrink") else [0, 0, 1]
    assert gradient(function, [-9.0, 0.0 if name != "hardtanh" else 2.0, NAN]) == expected


def test_the_largest_norm_of_nan():
    assert math.isnan(dtrain.tensor([1.0, NAN]).norm(math.inf).item())
    assert gradient(lambda x: x.norm(math.inf), [1.0, NAN, -3.0]) == [0, 0, 0]
    assert gradient(lambda x: x.norm(math.inf), [1.0, -3.0, 3.0]) == [0, -0.5, 0.5]
    assert dtrain.tensor([0.0, NAN, 2.0]).norm(0).item() == 2


def test_cdist_of_infinite_order_gives_each_tie_the_whole_gradient():
    x = dtrain.tensor([[1.0, 3.0, -3.0]], requires_grad=True)
    dtrain.cdist(x, dtrain.zeros(1, 3), p=math.inf).backward()
    assert x.grad.tolist() == [[0, 1, -1]]


def test_limits_that_are_tensors_share_the_gradient_as_in_pytorch():
    x = dtrain.tensor([0.0, 5.0, 1.0, 0.0, 2.0], requires_grad=True)
    low = dtrain.tensor([1.0, 1.0, 1.0, 3.0, 2.0], requires_grad=True)
    high = dtrain.tensor([1.0, 2.0, 1.0, 2.0, 4.0], requires_grad=True)
    out = dtrain.clamp(x, low, high)
    assert out.tolist() == [1, 2, 1, 2, 2]
    out.sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 0, 1]
    assert low.grad.tolist() == [0, 0, 0, 0, 0]
    assert high.grad.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_of_weights_0_is_nan_throughout(label_smoothing):
    x = dtrain.tensor([[0.3, 0.2], [1.0, 2.0]], requires_grad=True)
    weight = dtrain.tensor([1.0, 0.0])
    target = dtrain.tensor([1, 1])
    loss = F.cross_entropy(x, target, weight, label_smoothing=label_smoothing)
    loss.backward()
    assert math.isnan(loss.item())
    assert all(map(math.isnan, x.grad.reshape(-1).tolist()))


def test_nll_loss_of_weights_0_is_nan_at_the_targets():
    x = dtrain.tensor([[0.3, 0.2], [1.0, 2.0]], requires_grad=True)
    loss = F.nll_loss(x, dtrain.tensor([1, 1]), dtrain.tensor([1.0, 0.0]))
    loss.backward()
    assert math.isnan(loss.item())
    assert [[math.isnan(v) for v in row] for row in x.grad.tolist()] == [[False, True]] * 2


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_ignored_targets_have_no_gradient_though_the_loss_is_nan(label_smoothing):
    x = dtrain.tensor([[0.3, 0.2], [1.0, 2.0]], requires_grad=True)
    loss = F.cross_entropy(x, dtrain.tensor([-100, -100]), label_smoothing=label_smoothing)
    loss.backward()
    assert math.isnan(loss.item())
    assert x.grad.tolist() == [[0, 0], [0, 0]]


def test_a_slope_that_is_nan_matters_only_where_it_is_used():
    x = dtrain.tensor([2.0, -1.0], requires_grad=True)
    out = F.prelu(x, dtrain.tensor([NAN]))
    assert [math.isnan(v) for v in out.tolist()] == [False, True]
    out.sum().backward()
    assert [math.isnan(v) for v in x.grad.tolist()] == [False, True]
    assert gradient(lambda x: F.prelu(x, dtrain.tensor([0.25])), [0.0, 1.0]) == [0.25, 1]


def test_nan_has_no_gradient_where_the_limits_or_the_angle_take_it():
    assert gradient(lambda x: x.logit(0.25), [NAN, 0.5, 0.2]) == [0, 4, 0]
    assert gradient(lambda x: x.logit(0.25), [0.25]) == pytest.approx([16 / 3])
    assert gradient(dtrain.angle, [NAN, -2.0, 3.0]) == [0, 0, 0]
    assert math.isnan(dtrain.angle(dtrain.tensor([NAN])).item())


def test_a_slope_by_central_differences_does_not_look_at_its_own_place():
    (slopes,) = dtrain.gradient(dtrain.tensor([1.0, NAN, 5.0, 6.0]))
    assert slopes[1].item() == 2
    assert [math.isnan(v) for v in slopes.tolist()] == [True, False, True, False]


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_an_extreme_that_nan_was_scattered_to_has_a_gradient_of_nan(reduce):
    x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    source = dtrain.tensor([NAN, 3.0, 3.0], requires_grad=True)
    index = dtrain.tensor([0, 1, 1])
    x.scatter_reduce(0, index, source, reduce).sum().backward()
    assert math.isnan(x.grad[0].item())
    shares = [0, 0.5, 0.5] if reduce == "amax" else [1, 0, 0]
    assert [x.grad[1].item(), *source.grad[1:].tolist()] == shares


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_nan_in_an_ignored_row_is_not_in_the_loss(label_smoothing):
    x = dtrain.tensor([[NAN, 0.5], [1.0, 2.0]])
    target = dtrain.tensor([-100, 1])
    options = {"label_smoothing": label_smoothing}
    expected = F.cross_entropy(x[1:], target[1:], **options).item()
    assert F.cross_entropy(x, target, **options).item() == pytest.approx(expected)
    assert F.cross_entropy(x, target, reduction="none", **options)[0].item() == 0
    assert F.nll_loss(x, target).item() == -2


def test_a_violation_that_is_nan_or_0_is_no_loss_of_margins():
    x = dtrain.tensor([[0.0, NAN, 1.0], [2.0, 1.0, 0.0]], requires_grad=True)
    loss = F.multi_margin_loss(x, dtrain.tensor([0, 0]), reduction="sum")
    assert loss.item() == pytest.approx(2 / 3)
    loss.backward()
    assert x.grad.reshape(-1).tolist() == pytest.approx([-1 / 3, 0, 1 / 3, 0, 0, 0])
