"""LBFGS: what it minimizes, its state, and what it refuses. Its steps: tests/oracle."""

import copy

import numpy as np
import pytest
from scipy.optimize import rosen

import dtrain


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
    model = dtrain.DataParallel(dtrain.nn.Linear(2, 1))
    optimizer = dtrain.optim.LBFGS(model.parameters())
    with pytest.raises(NotImplementedError, match="under DataParallel each rank has its own"):
        optimizer.step(lambda: model(dtrain.ones(1, 2)).sum())


def test_defaults_are_those_of_pytorch():
    assert dtrain.optim.LBFGS([dtrain.ones(2)]).defaults == {
        "lr": 1, "max_iter": 20, "max_eval": 25, "tolerance_grad": 1e-7, "tolerance_change": 1e-9,
        "history_size": 100, "line_search_fn": None,
    }  # fmt: skip
