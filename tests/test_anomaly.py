"""Anomaly detection names the line of the forward pass that is behind a NaN."""

import linecache

import pytest

import dtrain
from dtrain.autograd import Function, detect_anomaly, set_detect_anomaly


def slope_of_root_is_infinite(x):
    root = x.sqrt()  # the guilty line
    return (root * 0).sum()


def zero():
    return dtrain.tensor([0.0, 4.0], requires_grad=True)


def test_the_operation_and_the_line_that_called_it_are_named():
    with detect_anomaly(), pytest.raises(RuntimeError) as caught:
        slope_of_root_is_infinite(zero()).backward()
    message = str(caught.value)
    assert "sqrt made NaN as the gradient of its input 0" in message
    assert "the guilty line" in message
    assert "slope_of_root_is_infinite(zero()).backward()" in message
    assert "dtrain/autograd" not in message


def test_outside_nothing_is_looked_at():
    x = zero()
    with detect_anomaly():
        pass
    slope_of_root_is_infinite(x).backward()
    assert x.grad.isnan().any()
    assert not dtrain.is_anomaly_enabled()


def test_a_forward_pass_without_it_has_no_lines():
    y = slope_of_root_is_infinite(zero())
    with detect_anomaly(), pytest.raises(RuntimeError, match="is not known: detect anomalies in"):
        y.backward()


def test_it_can_be_switched_on_and_off():
    try:
        set_detect_anomaly(True)
        assert dtrain.is_anomaly_enabled()
        with set_detect_anomaly(False):
            assert not dtrain.is_anomaly_enabled()
        assert dtrain.is_anomaly_enabled()
    finally:
        set_detect_anomaly(False)


def test_nan_may_be_allowed():
    x = zero()
    with detect_anomaly(check_nan=False):
        slope_of_root_is_infinite(x).backward()
    assert x.grad.isnan().any()


def test_a_function_of_the_users_is_named():
    class Broken(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    with detect_anomaly(), pytest.raises(RuntimeError, match="Broken made NaN"):
        Broken.apply(zero()).sum().backward()


def test_second_derivatives_are_looked_at_too():
    x = dtrain.tensor([0.0], requires_grad=True)
    with detect_anomaly():
        (slope,) = dtrain.autograd.grad((x**1.5).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="made NaN"):
            (slope * 0).sum().backward()


def test_an_operation_shows_its_text_in_a_traceback():
    assert "def operation(x, y" in linecache.getline("<dtrain operation add>", 1)
