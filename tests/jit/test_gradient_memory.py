"""Gradients of compiled graphs are written where they belong, and nowhere else."""

import re

import numpy as np

import dtrain
import dtrain.nn.functional as F
from dtrain import nn
from dtrain.jit import code_text
from tests.jit.test_rules import require_same


class Net(nn.Module):
    """A weight used once, one used twice, one that a view comes from, one that is not used."""

    def __init__(self):
        super().__init__()
        self.once, self.twice = nn.Linear(4, 4), nn.Linear(4, 4)
        self.rows, self.unused = nn.Parameter(dtrain.randn(3, 4)), nn.Parameter(dtrain.randn(2))
        self.scale = nn.Parameter(dtrain.randn(()))

    def forward(self, x):
        h = self.twice(self.twice(self.once(x)).tanh()) * self.scale
        return h @ self.rows.t() + F.layer_norm(x, (4,), self.rows[0]).sum()


def grads_of(model, x, **options):
    model(x).pow(2).sum().backward(**options)
    return [p.grad if p.grad is None else p.grad.numpy().copy() for p in model.parameters()]


def make_models():
    """A model, and its compiled form, whose parameters lie in buckets; both have run thrice."""
    models = []
    for compiles in (False, True):
        dtrain.manual_seed(0)
        model = dtrain.compile(Net(), fullgraph=True) if compiles else Net()
        optimizer = dtrain.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            grads_of(model, dtrain.ones(5, 4))
            optimizer.step()
            optimizer.zero_grad()
        models.append(model)
    return models


def require_same_grads(change=lambda model: None, passes=2, **options):
    models = make_models()
    for model in models:
        change(model)
    x = dtrain.randn(5, 4)
    for _ in range(passes):  # the second one adds to what is there
        eager, compiled = (grads_of(model, x, **options) for model in models)
        require_same(compiled, eager)
    return models


def test_gradients_accumulate_in_the_bucket():
    _, compiled = require_same_grads(passes=3)
    assert compiled.unused.grad is None
    weight = compiled.once.weight
    view = weight._bucket.grads.views[weight._bucket_index]
    assert weight.grad is view
    before = view.numpy().copy()
    kept = compiled(dtrain.ones(5, 4)).sum()
    first = dtrain.autograd.grad(kept, [weight], retain_graph=True)[0].numpy()
    assert np.array_equal(view.numpy(), before)
    weight.grad = None
    kept.backward(retain_graph=True)
    assert np.array_equal(weight.grad.numpy(), first)
    kept.backward()
    assert np.array_equal(weight.grad.numpy(), first + first)


def test_hooks_see_and_change_each_gradient():
    require_same_grads(lambda model: model.once.weight.register_hook(lambda g: g * 2))
    assert require_same_grads(
        lambda model: model.twice.bias.register_post_accumulate_grad_hook(
            lambda p: setattr(model.once.weight, "grad", dtrain.ones(4, 4))
        ), passes=1,
    )  # fmt: skip
    require_same_grads(lambda model: model.once.weight.requires_grad_(False))

    def freezes_between(model):
        model.once.bias.grad = dtrain.ones(4)

    require_same_grads(freezes_between)


def test_gradients_of_one_output_leave_the_others_parameters_alone():
    for used in range(2):
        found = []
        for compiles in (False, True):
            dtrain.manual_seed(0)
            layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
            dtrain.optim.SGD(layers.parameters(), lr=0.1)

            def function(x, layers=layers):
                return tuple(layer(x).tanh() for layer in layers)

            called = dtrain.compile(function, fullgraph=True) if compiles else function
            other = layers[1 - used].weight
            view = other._bucket.grads.views[other._bucket_index].array
            for _ in range(4):
                layers.zero_grad()
                view[...] = 7.0
                called(dtrain.ones(3, 4))[used].sum().backward()
            assert (view == 7.0).all()
            found.append(
                [p.grad if p.grad is None else p.grad.numpy() for p in layers.parameters()]
            )
        require_same(*found)


def test_products_and_sums_are_written_to_the_bucket(monkeypatch):
    texts = []

    def noting(self, filename, make=code_text.CodeText.make):
        texts.append("\n".join(self.lines))
        return make(self, filename)

    monkeypatch.setattr(code_text.CodeText, "make", noting)
    make_models()
    (backward,) = [text for text in texts if text.startswith("def backward")]
    assert len(set(re.findall(r"memory\[\d+\]", backward))) == 6
