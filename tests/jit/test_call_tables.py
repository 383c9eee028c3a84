"""Runs of small calls that compiled graphs execute as tables: eager mode's bits, whatever is given."""

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.jit import table_text
from tests.jit.test_rules import require_same


def make_models(dtype=None):
    """A model of small layers, and its compiled form, which has run thrice."""
    models = []
    for compiles in (False, True):
        dtrain.manual_seed(0)
        layers = [nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh()] * 2
        model = nn.Sequential(*layers, nn.Linear(6, 3)).to(dtype or dtrain.float32)
        model = dtrain.compile(model, fullgraph=True) if compiles else model
        for _ in range(3):
            run(model, dtrain.ones(5, 6, dtype=dtype))
        models.append(model)
    return models


def run(model, x, gradient=None, passes=1):
    """The output, and the gradients of x and of the parameters."""
    x = x.detach().requires_grad_()
    model.zero_grad()
    out = model(x)
    for _ in range(passes):
        out.backward(dtrain.ones_like(out) if gradient is None else gradient, retain_graph=True)
    return [a.detach().numpy().copy() for a in (out, x.grad, *(p.grad for p in model.parameters()))]


def special(dtype):
    """Values with -0, NaN and infinity, and some that are not normal."""
    x = np.random.default_rng(0).standard_normal((5, 6)).astype(dtype)
    x[0, :2], x[1, 0], x[2, 1], x[3, 2] = -0.0, np.nan, np.inf, np.finfo(dtype).tiny / 8
    return dtrain.tensor(x)


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64])
def test_tables_have_the_bits_of_eager_mode(dtype, monkeypatch):
    runs = []
    table_run = table_text._Table.run

    def counting(*given):
        runs.append(table_run(*given))
        return runs[-1]

    monkeypatch.setattr(table_text._Table, "run", counting)
    models = make_models(dtype)
    runs.clear()
    for x in (special(dtype), dtrain.randn(5, 6, dtype=dtype)):
        eager, compiled = (run(model, x, passes=2) for model in models)
        require_same(compiled, eager)
    assert runs == [True] * 6  # one forward, two backward passes each


def test_arrays_in_another_order_take_no_table_and_keep_the_bits():
    models = make_models()
    gradient = dtrain.randn(3, 5).t()
    eager, compiled = (run(model, dtrain.ones(5, 6), gradient) for model in models)
    require_same(compiled, eager)
    expanded = dtrain.ones(1, 1).expand(5, 3)
    eager, compiled = (run(model, dtrain.ones(5, 6), expanded) for model in models)
    require_same(compiled, eager)


def test_runs_whose_backward_passes_are_still_to_come_have_memory_of_their_own():
    results = []
    for model in make_models():
        model.zero_grad()
        first, second = model(dtrain.ones(5, 6)), model(2 * dtrain.ones(5, 6))
        (first.pow(2).sum() - second.sum()).backward()
        kept = first.detach().numpy()
        model(3 * dtrain.ones(5, 6))
        results.append([kept.copy(), *(p.grad.numpy().copy() for p in model.parameters())])
    require_same(*results)
