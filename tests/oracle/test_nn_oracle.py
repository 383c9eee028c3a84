"""Layers and losses against PyTorch: outputs, gradients, state, repr, initial values."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
from dtrain.nn import functional as F  # noqa: E402
from tests.cases.layer_case import IMAGE, LINE, VOLUME, filled, numbers, ran_backward, tensors  # noqa: E402
from tests.cases.layer_cases import MODULES  # noqa: E402
from tests.cases.table import CASES  # noqa: E402

pytestmark = pytest.mark.oracle


SHOWN = {
    "Dropout1d": lambda nn: nn.Dropout1d(0.3, inplace=True),
    "Dropout2d": lambda nn: nn.Dropout2d(),
    "Dropout3d": lambda nn: nn.Dropout3d(0.3),
    "AlphaDropout": lambda nn: nn.AlphaDropout(),
    "FeatureAlphaDropout": lambda nn: nn.FeatureAlphaDropout(0.1),
    "ReLU": lambda nn: nn.ReLU(inplace=True),
    "ModuleList": lambda nn: nn.ModuleList(
        [nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Tanh()), nn.Linear(2, 2)]
    ),
    "ModuleList empty": lambda nn: nn.ModuleList(),
    "Sequential empty": lambda nn: nn.Sequential(),
}


def assert_same_state(ours, theirs):
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    for name, tensor in ours.state_dict().items():
        assert (tensor.shape, str(tensor.dtype)) == (
            tuple(state[name].shape),
            str(state[name].dtype).removeprefix("torch."),
        )
        np.testing.assert_allclose(tensor.numpy(), state[name].numpy(), rtol=1e-5, atol=1e-6)


def assert_same_gradients(ours, theirs):
    for (name, p), (other, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == other
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=2e-5)


def assert_close(ours, theirs, rtol=1e-4, atol=1e-5):
    assert ours.shape == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


pytorch_may_warn = pytest.mark.filterwarnings("ignore::UserWarning")  # of its own fast paths


@pytorch_may_warn
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", [name for name, layer in MODULES.items() if not layer.drawn])
def test_modules_give_what_pytorch_gives(name, mode):
    layer = MODULES[name]
    modules = [filled(layer, t.nn) for t in (dtrain, torch)]
    for module in modules:
        getattr(module, mode)()
    for step in range(2):  # the second sees what the first left in the buffers
        inputs = [tensors(layer, t, step) for t in (dtrain, torch)]
        runs = zip((dtrain, torch), modules, inputs)
        outputs = [ran_backward(layer, t, module, given) for t, module, given in runs]
        for ours, theirs in zip(*outputs, strict=True):
            assert_close(ours, theirs)
        for x, y in zip(*inputs):
            assert (x.grad is None) == (y.grad is None)
            if x.grad is not None:
                assert_close(x.grad, y.grad, 1e-3)
        assert_same_gradients(*modules)
    assert_same_state(*modules)


@pytest.mark.parametrize(
    "name", [name for name, layer in MODULES.items() if layer.drawn and "Pool" not in name]
)
def test_modules_that_draw_are_pytorchs_in_evaluation(name):
    layer = MODULES[name]
    outputs = [
        ran_backward(layer, t, filled(layer, t.nn).eval(), tensors(layer, t))
        for t in (dtrain, torch)
    ]
    for ours, theirs in zip(*outputs, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize(("axes", "shape"), [(1, LINE), (2, IMAGE), (3, VOLUME)])
def test_unpooling_looks_and_finds_places_as_in_pytorch(axes, shape):
    def run(t):
        _, places = getattr(t.nn, f"MaxPool{axes}d")(2, return_indices=True)(
            t.tensor(numbers(shape))
        )
        return repr(getattr(t.nn, f"MaxUnpool{axes}d")(2)), places.numpy()

    for ours, theirs in zip(run(dtrain), run(torch)):
        np.testing.assert_array_equal(ours, theirs)


def assert_same_losses(make, arrays):
    ours = [dtrain.from_numpy(array) for array in arrays]
    theirs = [torch.from_numpy(array) for array in arrays]
    x, y = ours[0].requires_grad_(), theirs[0].requires_grad_()
    out, expected = make(dtrain)(*ours), make(torch)(*theirs)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5)
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_probabilities_give_what_pytorch_gives_at_the_limits(reduction):
    chances = np.array([0, 0, 1, 1, 0.3, 1e-30], np.float32)
    target = np.array([0, 1, 0, 1, 0.5, 1], np.float32)
    assert_same_losses(lambda t: t.nn.BCELoss(reduction=reduction), [chances, target])
    weight = np.arange(6, dtype=np.float32)
    assert_same_losses(
        lambda t: t.nn.BCELoss(t.from_numpy(weight), reduction=reduction), [chances, target]
    )
    assert_same_losses(
        lambda t: t.nn.BCEWithLogitsLoss(
            t.from_numpy(weight), reduction=reduction, pos_weight=t.tensor(3.0)
        ),
        [np.array([-200, 200, -30, 30, 0, 0.5], np.float32), target],
    )


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("seed", range(5))
def test_ctc_gives_what_pytorch_gives(seed, reduction, zero_infinity):
    rng = np.random.default_rng(seed)
    classes, blank = 5, int(rng.integers(5))
    targets = rng.integers(classes - 1, size=(6, 4))
    targets += targets >= blank
    labels = rng.integers(5, size=6)
    if seed % 2:
        targets = np.concatenate([row[:n] for row, n in zip(targets, labels)])
    make = lambda t: t.nn.CTCLoss(blank, reduction, zero_infinity)
    lengths = [rng.integers(10, size=6), labels]
    logits = rng.normal(size=(9, 6, classes))
    outputs, gradients = [], []
    for t in (dtrain, torch):
        x = t.tensor(logits, requires_grad=True)
        out = make(t)(x.log_softmax(2), *map(t.tensor, [targets, *lengths]))
        out.sum().backward()
        outputs.append(out.detach().numpy())
        gradients.append(x.grad.numpy())
    np.testing.assert_allclose(*outputs, rtol=1e-9, atol=1e-12)
    defined = np.isfinite(gradients[1])  # an infinite loss has no gradient
    np.testing.assert_allclose(gradients[0][defined], gradients[1][defined], rtol=1e-7, atol=1e-9)
    assert defined.all() or not zero_infinity


@pytorch_may_warn
@pytest.mark.parametrize("name", [*MODULES, *SHOWN])
def test_modules_look_as_in_pytorch(name):
    make = SHOWN.get(name) or MODULES[name].make
    ours, theirs = repr(make(dtrain.nn)), repr(make(torch.nn)).replace("torch.", "")
    if name.startswith("Parameter"):  # PyTorch indents them otherwise, and names dtypes by types
        ours, theirs = (
            "".join(ours.split()),
            "".join(theirs.replace("FloatTensor", "float32").split()),
        )
    assert ours == theirs


def test_class_weights_are_state_as_in_pytorch():
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    ours = dtrain.nn.CrossEntropyLoss(weight=dtrain.from_numpy(weight))
    theirs = torch.nn.CrossEntropyLoss(weight=torch.from_numpy(weight))
    assert_same_state(ours, theirs)


# --- initial values ---

BOUNDED = {
    "Linear": (lambda nn: nn.Linear(64, 200), 1 / 8),
    "Conv2d": (lambda nn: nn.Conv2d(4, 200, 4), 1 / 8),
    "Bilinear": (lambda nn: nn.Bilinear(64, 9, 200), 1 / 8),
    "Conv2d groups": (lambda nn: nn.Conv2d(16, 200, 4, groups=4), 1 / 8),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(16, 256, 1), 1 / 16),
}


@pytest.mark.parametrize("t", [dtrain, torch], ids=["dtrain", "torch"])
@pytest.mark.parametrize("name", BOUNDED)
def test_initial_values_are_uniform_within_pytorchs_bounds(name, t):
    make, bound = BOUNDED[name]
    t.manual_seed(0)
    layer = make(t.nn)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert abs(weight).max() <= bound
    assert abs(bias).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert bias.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)
    assert abs(weight.mean()) < bound / 20


@pytest.mark.parametrize("t", [dtrain, torch], ids=["dtrain", "torch"])
def test_an_embedding_begins_standard_normal_but_for_its_padding(t):
    t.manual_seed(0)
    table = t.nn.Embedding(500, 20, padding_idx=3).weight.detach().numpy()
    assert not table[3].any()
    assert table.std() == pytest.approx(1, rel=0.03)
    assert abs(table.mean()) < 0.03


INITS = {
    "xavier_uniform_": {"gain": 2.0},
    "xavier_normal_": {"gain": 2.0},
    "kaiming_uniform_": {"a": 0.1, "mode": "fan_out"},
    "kaiming_normal_": {"nonlinearity": "relu"},
    "uniform_": {"a": -2.0, "b": 1.0},
    "normal_": {"mean": 1.0, "std": 0.2},
    "constant_": {"val": 0.3},
    "ones_": {},
    "trunc_normal_": {"mean": 0.2, "std": 0.5, "a": -0.3, "b": 1.5},
    "orthogonal_": {"gain": 2.0},
    "zeros_": {},
}


@pytest.mark.parametrize("name", INITS)
def test_initializers_draw_from_pytorchs_distributions(name):
    def moments(t):
        t.manual_seed(0)
        array = getattr(t.nn.init, name)(t.empty(80, 40, 3, 3), **INITS[name]).numpy()
        return [array.mean(), array.std(), np.quantile(array, 0.1), np.quantile(array, 0.9)]

    ours, theirs = moments(dtrain), moments(torch)
    scale = max(map(abs, theirs))
    np.testing.assert_allclose(ours, theirs, atol=0.03 * scale, rtol=0)


@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [("linear", None), ("sigmoid", None), ("tanh", None), ("relu", None), ("selu", None),
     ("leaky_relu", None), ("leaky_relu", 0.3)],
)  # fmt: skip
def test_gains_are_those_of_pytorch(nonlinearity, param):
    ours = dtrain.nn.init.calculate_gain(nonlinearity, param)
    assert ours == pytest.approx(torch.nn.init.calculate_gain(nonlinearity, param))


def test_every_functional_of_pytorchs_names_has_a_row():
    shared = {name for name in dir(F) if name[0] != "_" and hasattr(torch.nn.functional, name)}
    functions = {name for name in shared if callable(getattr(F, name))}
    rows = {case.op.removeprefix("F.") for case in CASES}
    assert functions - rows <= {"Tensor"}
