"""LBFGS: what it minimizes, its state, and what it refuses. Its steps: tests/oracle."""

import copy
import math

import numpy as np
import pytest
from scipy.optimize import rosen

import dtrain
from dtrain.optim.line_search import Point, _choose_within, search_strong_wolfe


class Rosenbrock:
    """Rosenbrock's function of two parameters under LBFGS, in float64."""

    def __init__(self, **options):
        self.params = [
            dtrain.tensor([-1.2, 1.0], dtype=dtrain.float64),
            dtrain.tensor(0.5).double(),
        ]
        self.begin(**options)

    def begin(self, **options):
        self.params = [p.detach().clone().requires_grad_() for p in self.params]
        self.optimizer = dtrain.optim.LBFGS(
            self.params, line_search_fn="strong_wolfe", max_iter=4, **options
        )

    def closure(self):
        self.optimizer.zero_grad()
        x = dtrain.cat([p.reshape(-1) for p in self.params])
        loss = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        loss.backward()
        return loss

    def steps(self, count):
        return [self.optimizer.step(self.closure).item() for _ in range(count)]

    def values(self):
        return np.concatenate([p.detach().numpy().reshape(-1) for p in self.params])


def test_it_finds_the_minimum_and_returns_the_first_loss_of_a_step():
    run = Rosenbrock()
    before = rosen(run.values())
    losses = run.steps(20)
    np.testing.assert_allclose(losses[0], before)
    np.testing.assert_allclose(run.values(), 1, rtol=1e-5)
    assert run.steps(2)[0] < 1e-9


def test_a_saved_state_goes_on_to_the_same_bits(tmp_path):
    first = Rosenbrock()
    first.steps(3)
    dtrain.save(first.optimizer.state_dict(), tmp_path / "optimizer.pt")
    second = Rosenbrock()
    second.params = first.params
    second.begin()
    second.optimizer.load_state_dict(dtrain.load(tmp_path / "optimizer.pt"))
    assert second.steps(3) == first.steps(3)
    assert (second.values() == first.values()).all()


def test_a_copy_goes_on_to_the_same_bits_and_leaves_the_original():
    first = Rosenbrock()
    first.steps(3)
    second = copy.deepcopy(first)
    kept = first.values()
    losses = second.steps(3)
    assert (first.values() == kept).all()
    assert first.steps(3) == losses


def test_what_it_refuses():
    x = dtrain.zeros(2, requires_grad=True)
    with pytest.raises(ValueError, match="LBFGS has one parameter group"):
        dtrain.optim.LBFGS([{"params": [x]}, {"params": [dtrain.zeros(1, requires_grad=True)]}])
    with pytest.raises(
        RuntimeError, match="expected line_search_fn None or 'strong_wolfe', got 'x'"
    ):
        dtrain.optim.LBFGS([x], line_search_fn="x")
    with pytest.raises(ValueError, match="LBFGS: expected 0 <= lr, got -1"):
        dtrain.optim.LBFGS([x], lr=-1)


def test_defaults_are_those_of_pytorch():
    assert dtrain.optim.LBFGS([dtrain.ones(2)]).defaults == {
        "lr": 1, "max_iter": 20, "max_eval": 25, "tolerance_grad": 1e-7, "tolerance_change": 1e-9,
        "history_size": 100, "line_search_fn": None,
    }  # fmt: skip


# --- the line search, on points that the test gives ---


class Line:
    """Answers the n-th call with the n-th (loss, slope); keeps the lengths that were asked for."""

    def __init__(self, *answers):
        self.answers, self.lengths = iter(answers), []

    def measure(self, length):
        self.lengths.append(length)
        return point(length, *next(self.answers))


def point(length, loss, slope):
    return Point(length, loss, dtrain.zeros(1), slope)


START = point(0.0, 0.0, -1.0)
GOOD = (-5.0, 0.1)  # low enough, and nearly flat


def test_a_loss_that_rises_again_ends_the_way_forward_though_it_is_below_the_first():
    line = Line((-1.0, -1.0), (-3.0, -1.0), (-2.0, -1.0), GOOD)
    found, calls = search_strong_wolfe(line.measure, START, 1.0, 1.0)
    _, second, third, fourth = line.lengths
    assert second < fourth < third
    assert (found.length, calls) == (fourth, 4)


def test_a_straight_line_down_is_followed_to_the_largest_length():
    line = Line((-1.0, -1.0), (-10.0, -1.0), (-20.0, 0.1))
    search_strong_wolfe(line.measure, START, 1.0, 1.0)
    assert line.lengths[:2] == [1, 10]
    x = dtrain.tensor([2.0], requires_grad=True)
    optimizer = dtrain.optim.LBFGS([x], max_iter=1, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = x.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2
    assert x.item() < -10


def test_the_second_point_may_be_higher_than_the_first():
    line = Line((-2.0, -1.0), (-1.5, -1.0), GOOD)
    search_strong_wolfe(line.measure, START, 1.0, 1.0)
    first, second, third = line.lengths
    assert first < second < third


def test_a_minimum_that_was_passed_lies_between_the_start_and_the_lowest_point():
    line = Line((1.0, 5.0), (-0.5, 2.0), GOOD)
    found, _ = search_strong_wolfe(line.measure, START, 1.0, 1.0)
    first, second, third = line.lengths
    assert 0 < third < second < first
    assert found.length == third


def test_a_length_close_to_an_end_is_moved_inwards_the_second_time():
    low, high = point(0.0, 0.0, -0.01), point(1.0, 0.99, 1.99)  # x^2 - x / 100
    length, stalled = _choose_within(low, high, False)
    assert 0 < length < 0.1
    assert stalled
    assert _choose_within(low, high, True) == (pytest.approx(0.1), False)
    low, high = point(1.0, 2.5e-5, -0.01), point(0.0, 1.01, -2.01)  # (x - 1.005)^2
    assert _choose_within(low, high, False) == (pytest.approx(0.9), False)


def test_between_points_without_a_cubic_it_takes_the_middle():
    low, high = point(0.0, 0.0, -1.0), point(1.0, math.nan, 1.0)
    assert _choose_within(low, high, False) == (0.5, False)


def test_a_bracket_narrower_than_the_smallest_change_ends_the_search():
    line = Line((1.0, 5.0))
    found, calls = search_strong_wolfe(line.measure, START, 1.0, 1e-10)
    assert (found.length, calls) == (0.0, 1)
