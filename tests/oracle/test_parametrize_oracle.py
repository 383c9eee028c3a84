"""Parametrizations next to PyTorch's."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
import dtrain.nn.utils.parametrizations  # noqa: E402

pytestmark = pytest.mark.oracle


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def symmetric(t):
    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, a):
            return a.triu()

    return Symmetric()


def scaled(t):
    class Scaled(t.nn.Module):
        def forward(self, x):
            return 3 * x

    return Scaled()


def with_symmetric(t, layer):
    register = t.nn.utils.parametrize.register_parametrization
    return register(register(layer, "weight", symmetric(t)), "weight", scaled(t))


MADE = {
    "symmetric": lambda t: with_symmetric(t, t.nn.Linear(3, 3)),
    "weight_norm": lambda t: t.nn.utils.parametrizations.weight_norm(t.nn.Linear(3, 4)),
    "weight_norm of columns": lambda t: t.nn.utils.parametrizations.weight_norm(
        t.nn.Linear(3, 4), dim=1
    ),
    "weight_norm of dim -2": lambda t: t.nn.utils.parametrizations.weight_norm(
        t.nn.Linear(3, 4), dim=-2
    ),
    "weight_norm of all": lambda t: t.nn.utils.parametrizations.weight_norm(
        t.nn.Linear(3, 4), dim=None
    ),
    "spectral_norm": lambda t: t.nn.utils.parametrizations.spectral_norm(
        t.nn.Linear(3, 4), n_power_iterations=2
    ),
    "spectral_norm of columns": lambda t: t.nn.utils.parametrizations.spectral_norm(
        t.nn.Linear(3, 4), dim=1
    ),
    "spectral_norm of a bias": lambda t: t.nn.utils.parametrizations.spectral_norm(
        t.nn.Linear(3, 4), "bias"
    ),
}


def twins(make):
    ours, theirs = make(dtrain).double(), make(torch).double()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    state = {k: numbers(*v.shape, seed=i) for i, (k, v) in enumerate(theirs.state_dict().items())}
    for t, model in ((dtrain, ours), (torch, theirs)):
        model.load_state_dict({k: t.tensor(v) for k, v in state.items()})
    return ours, theirs


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", MADE)
def test_parametrized_layers_give_what_pytorch_gives(name, mode):
    ours, theirs = twins(MADE[name])
    for t, model in ((dtrain, ours), (torch, theirs)):
        getattr(model, mode)()
        model(t.tensor(numbers(5, 3))).square().sum().backward()
    for (key, p), (other, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert key == other
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-12)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-9)


def written(t):
    parametrize = t.nn.utils.parametrize
    layer = parametrize.register_parametrization(t.nn.Linear(2, 2), "weight", symmetric(t))
    twin = copy.deepcopy(layer)
    with t.no_grad():
        layer.weight = t.tensor([[1.0, 2.0], [3.0, 4.0]])
    seen = [layer.weight.tolist(), layer.parametrizations.weight.original.tolist()]
    assert twin.weight.tolist() != layer.weight.tolist()
    seen += [parametrize.is_parametrized(layer), parametrize.is_parametrized(layer, "bias")]
    parametrize.remove_parametrizations(layer, "weight")
    seen += [repr(layer), type(layer.weight).__name__, layer.weight.tolist()]
    return seen, list(layer.state_dict()), repr(twin)


def test_parametrized_tensors_are_written_copied_and_freed_as_in_pytorch():
    assert written(dtrain) == written(torch)


def test_the_original_comes_back_if_wanted():
    layer = dtrain.nn.utils.parametrize.register_parametrization(
        dtrain.nn.Linear(2, 2), "weight", scaled(dtrain)
    )
    tripled = layer.weight.tolist()
    dtrain.nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_allclose((3 * layer.weight).tolist(), tripled)


def test_recurrent_layers_can_be_parametrized():
    def run(t):
        t.manual_seed(0)
        layer = t.nn.LSTM(2, 3).double()
        for i, p in enumerate(layer.parameters()):
            p.data.copy_(t.tensor(numbers(*p.shape, seed=i)))
        before = layer(t.tensor(numbers(4, 2, 2)))[0]
        t.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
        after = layer(t.tensor(numbers(4, 2, 2)))[0]
        np.testing.assert_allclose(before.detach().numpy(), after.detach().numpy(), atol=1e-9)
        after.sum().backward()
        return layer.parametrizations.weight_hh_l0.original0.grad.numpy()

    np.testing.assert_allclose(run(dtrain), run(torch), rtol=1e-9)


REFUSED = {
    "no tensor": lambda t: t.nn.utils.parametrizations.weight_norm(t.nn.ReLU()),
    "other shape": lambda t: t.nn.utils.parametrize.register_parametrization(
        t.nn.Linear(2, 3), "weight", t.nn.Flatten(0)
    ),
    "not parametrized": lambda t: t.nn.utils.parametrize.remove_parametrizations(
        t.nn.Linear(2, 3), "weight"
    ),
    "several originals": lambda t: t.nn.utils.parametrize.remove_parametrizations(
        MADE["weight_norm"](t), "weight", leave_parametrized=False
    ),
    "written without an inverse": lambda t: setattr(
        with_symmetric(t, t.nn.Linear(2, 2)), "weight", t.ones(2, 2)
    ),
    "iterations": lambda t: t.nn.utils.parametrizations.spectral_norm(
        t.nn.Linear(2, 3), n_power_iterations=0
    ),
    "dimension": lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(2, 3), dim=2),
    "spectral norm of nothing": lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.ReLU()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_kind_of_error(name):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        REFUSED[name](torch)
    with pytest.raises(theirs.type):
        REFUSED[name](dtrain)


def test_a_parametrized_module_is_not_pickled():
    with pytest.raises(RuntimeError, match="state_dict"):
        copy.copy(MADE["weight_norm"](dtrain))
