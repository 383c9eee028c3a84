"""`checkpoint`: the same bits, from a forward pass that keeps nothing in between."""

import tracemalloc

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.autograd import grad
from dtrain.func import functional_call
from dtrain.utils.checkpoint import checkpoint, checkpoint_sequential


def make_model():
    dtrain.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8), nn.LayerNorm(8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 2)
    )


def gradients(model, forward):
    dtrain.manual_seed(1)
    x = dtrain.ones(5, 4, requires_grad=True)
    (forward(x) ** 2).sum().backward()
    after = dtrain.rand(3).tolist()  # where the generator then is
    return [x.grad.tolist(), *(p.grad.tolist() for p in model.parameters()), after]


@pytest.mark.parametrize("segments", [1, 2, 5])
def test_gradients_and_random_numbers_are_the_same_bits(segments):
    plain = make_model()
    expected = gradients(plain, plain)
    whole, parts = make_model(), make_model()
    assert gradients(whole, lambda x: checkpoint(whole, x)) == expected
    assert gradients(parts, lambda x: checkpoint_sequential(parts, segments, x)) == expected


def test_second_derivatives_are_the_same_bits():
    model = make_model()
    x = dtrain.ones(5, 4, requires_grad=True)
    found = []
    for forward in (model, lambda x: checkpoint(model, x)):
        dtrain.manual_seed(1)
        (slope,) = grad((forward(x) ** 2).sum(), x, create_graph=True)
        found.append(grad((slope**2).sum(), x)[0].tolist())
    assert found[0] == found[1]


def test_a_kept_graph_can_be_gone_through_again():
    x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    y = checkpoint(lambda x: (x.exp() * x).sum(), x)
    (first,) = grad(y, x, retain_graph=True)
    (second,) = grad(y, x)
    assert first.tolist() == second.tolist()
    with pytest.raises(RuntimeError, match="freed by an earlier backward pass"):
        grad(y, x)


def test_it_runs_once_forward_and_once_for_backward():
    calls = []

    def function(x):
        calls.append(dtrain.is_grad_enabled())
        return (x * x).exp().sum()

    x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    y = checkpoint(function, x)
    assert calls == [True]
    y.backward()
    assert calls == [True, True]
    with dtrain.no_grad():
        checkpoint(function, x)
    assert calls == [True, True, False]


def test_outputs_and_arguments_may_be_structures():
    def function(pair, scale=1):
        return {"sum": pair[0] + pair[1], "more": [pair[0] * scale]}

    x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    out = checkpoint(function, (x, x * 2), scale=3)
    (out["sum"] + out["more"][0]).sum().backward()
    assert x.grad.tolist() == [6, 6]


@pytest.mark.parametrize("structure", [lambda x: {"a": x}, lambda x: (x, None), lambda x: [[x]]])
def test_a_structure_is_computed_once_more_for_backward(structure):
    runs = []

    def function(x):
        runs.append(1)
        return structure(x.exp())

    x = dtrain.tensor([1.0], requires_grad=True)
    out = checkpoint(function, x)
    assert len(runs) == 1
    while not isinstance(out, dtrain.Tensor):
        out = out["a"] if isinstance(out, dict) else out[0]
    out.sum().backward()
    assert len(runs) == 2
    assert x.grad.item() == pytest.approx(np.e)


def test_it_may_be_nested():
    x = dtrain.tensor([0.5, 2.0], requires_grad=True)
    y = checkpoint(lambda x: checkpoint(lambda z: z.exp() * z, x).sin().sum(), x)
    z = (x.exp() * x).sin().sum()
    assert grad(y, x)[0].tolist() == grad(z, x)[0].tolist()


def test_memory_in_between_is_given_back():
    x = dtrain.ones(200_000, requires_grad=True)

    def deep(x):
        for _ in range(20):
            x = x.exp().log()
        return x

    def kept(forward):
        tracemalloc.start()
        out = forward(x)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del out
        return size

    assert kept(deep) > 10 * kept(lambda x: checkpoint(deep, x))
    structures = lambda x: {"out": deep(x), "more": [deep(x)]}
    assert kept(structures) > 10 * kept(lambda x: checkpoint(structures, x))


def test_another_function_the_second_time_is_refused():
    runs = []

    def function(x):
        runs.append(1)
        return x.exp().sum() if len(runs) == 1 else x.sin().sum()

    x = dtrain.tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"recorded sin of shape .* where there was exp"):
        checkpoint(function, x).backward()


@pytest.mark.parametrize("segments", [0, 6])
def test_segments_that_cannot_be_are_refused(segments):
    with pytest.raises(ValueError, match=f"expected 1 to 5 segments.*got {segments}"):
        checkpoint_sequential(make_model(), segments, dtrain.zeros(2, 4))


def test_values_do_not_change():
    model = make_model().eval()
    x = dtrain.ones(5, 4)
    assert np.array_equal(checkpoint(model, x).detach(), model(x).detach())


def test_the_second_run_has_the_parameters_of_a_functional_call():
    layer = nn.Linear(2, 2)
    given = {name: dtrain.ones(p.shape, requires_grad=True) for name, p in layer.named_parameters()}
    x = dtrain.tensor([[1.0, 2.0]])

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return checkpoint(lambda x: self.layer(self.layer(x)), x).sum()

    named = {f"layer.{name}": value for name, value in given.items()}
    functional_call(Twice(), named, (x,)).backward()
    recomputed = {name: value.grad.tolist() for name, value in given.items()}
    for value in given.values():
        value.grad = None
    functional_call(layer, given, (functional_call(layer, given, (x,)),)).sum().backward()
    assert recomputed == {name: value.grad.tolist() for name, value in given.items()}
