"""Lazy layers learn the size of their input from the first one, and are refused before it."""

import copy

import numpy as np
import pytest

import dtrain
from dtrain import nn

LAYERS = {
    "Linear": (lambda: nn.LazyLinear(3), lambda: nn.Linear(5, 3), (2, 4, 5)),
    "Conv1d": (lambda: nn.LazyConv1d(3, 2), lambda: nn.Conv1d(4, 3, 2), (4, 5)),
    "Conv2d": (lambda: nn.LazyConv2d(3, 2, 2), lambda: nn.Conv2d(4, 3, 2, 2), (2, 4, 5, 5)),
    "Conv3d": (lambda: nn.LazyConv3d(3, 2), lambda: nn.Conv3d(4, 3, 2), (2, 4, 3, 3, 3)),
    "ConvTranspose1d": (
        lambda: nn.LazyConvTranspose1d(3, 2), lambda: nn.ConvTranspose1d(4, 3, 2), (2, 4, 5)
    ),
    "ConvTranspose2d": (
        lambda: nn.LazyConvTranspose2d(3, 2), lambda: nn.ConvTranspose2d(4, 3, 2), (4, 5, 5)
    ),
    "ConvTranspose3d": (
        lambda: nn.LazyConvTranspose3d(3, 2), lambda: nn.ConvTranspose3d(4, 3, 2), (2, 4, 2, 2, 2)
    ),
    "BatchNorm1d": (lambda: nn.LazyBatchNorm1d(), lambda: nn.BatchNorm1d(4), (2, 4, 5)),
    "BatchNorm2d": (lambda: nn.LazyBatchNorm2d(), lambda: nn.BatchNorm2d(4), (2, 4, 5, 5)),
    "BatchNorm3d": (lambda: nn.LazyBatchNorm3d(), lambda: nn.BatchNorm3d(4), (2, 4, 5, 5, 1)),
    "InstanceNorm1d": (
        lambda: nn.LazyInstanceNorm1d(),
        lambda: nn.InstanceNorm1d(4, affine=True, track_running_stats=True), (4, 5),
    ),
    "InstanceNorm2d": (
        lambda: nn.LazyInstanceNorm2d(affine=False),
        lambda: nn.InstanceNorm2d(2, track_running_stats=True), (2, 2, 3, 3),
    ),
    "InstanceNorm3d": (
        lambda: nn.LazyInstanceNorm3d(1e-3, None, True, False),
        lambda: nn.InstanceNorm3d(2, 1e-3, None, True, False), (2, 2, 2, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_the_first_input_makes_it_the_layer(name):
    make_lazy, make, shape = LAYERS[name]
    x = dtrain.randn(*shape)
    dtrain.manual_seed(1)
    whole = make()
    expected = whole(x)
    dtrain.manual_seed(1)
    lazy = make_lazy()
    before = dict(lazy.named_parameters())
    assert isinstance(lazy, type(whole))
    assert lazy.has_uninitialized_params()
    assert np.array_equal(lazy(x).detach().numpy(), expected.detach().numpy())
    assert type(lazy) is type(whole)
    assert repr(lazy) == repr(whole)
    assert all(lazy.get_parameter(key) is param for key, param in before.items())
    theirs = whole.state_dict()
    assert list(lazy.state_dict()) == list(theirs)
    for key, tensor in lazy.state_dict().items():
        assert type(tensor) is dtrain.Tensor, key
        assert dtrain.equal(tensor, theirs[key]), key


def test_what_was_done_to_it_before_holds():
    seen = []
    lazy = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()).double().eval()
    lazy[0].register_forward_hook(lambda module, args, out: seen.append(type(module)))
    lazy[0].requires_grad_(False)
    out = copy.deepcopy(lazy)(dtrain.ones(2, 4, dtype=dtrain.float64))
    assert out.dtype == dtrain.float64
    assert not out.isnan().any()
    lazy(dtrain.ones(2, 4, dtype=dtrain.float64))
    assert seen == [nn.Linear, nn.Linear]
    assert {p.dtype for p in (*lazy.parameters(), lazy[1].running_var)} == {dtrain.float64}
    assert not lazy.training
    assert not lazy[1].training
    assert not lazy[0].weight.requires_grad
    assert lazy[1].weight.requires_grad


def test_a_model_of_lazy_layers_trains():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    x, y = dtrain.randn(8, 1, 6, 6), dtrain.arange(8) % 2
    model(x)
    optimizer = dtrain.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model[0].weight.shape,
        lambda model: model[0].bias.numel(),
        lambda model: model.state_dict(),
        lambda model: model.load_state_dict({}),
        lambda model: dtrain.optim.SGD(model.parameters(), lr=0.1),
        lambda model: dtrain.DataParallel(model),
    ],
    ids=["shape", "numel", "state_dict", "load_state_dict", "optimizer", "DataParallel"],
)
def test_what_needs_shapes_is_refused_before(use):
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(RuntimeError, match="has no shape: call the model once with data"):
        use(model)
    assert repr(model[0].weight) == "<UninitializedParameter>"
    assert model(dtrain.ones(2, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("layer", "shape", "error", "message"),
    [
        (lambda: nn.LazyConv2d(3, 2), (4, 4), RuntimeError, "expected 3D or 4D input"),
        (lambda: nn.LazyBatchNorm2d(), (2, 3), ValueError, "expected 4D input, got shape"),
        (lambda: nn.LazyConv2d(4, 2, groups=2), (1, 3, 4, 4), ValueError, "divisible by groups=2"),
    ],
)
def test_an_input_that_does_not_fit_changes_nothing(layer, shape, error, message):
    lazy = layer()
    with pytest.raises(error, match=message):
        lazy(dtrain.ones(*shape))
    assert lazy.has_uninitialized_params()
