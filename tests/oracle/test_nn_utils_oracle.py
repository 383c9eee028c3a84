"""nn.utils next to PyTorch's: clipping, vectors of parameters, fusion."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_gradients(t, scale=1.0):
    """Parameters with gradients; the last has none."""
    params = [t.zeros(2, 3, dtype=t.float64), t.zeros(4, dtype=t.float64), t.zeros(1)]
    for i, p in enumerate(params[:2]):
        p.grad = t.tensor(numbers(*p.shape, seed=i) * scale)
    return params


def gradients(params):
    return [p.grad for p in params if p.grad is not None]


CLIPPINGS = {
    "norm": lambda t, p: t.nn.utils.clip_grad_norm_(iter(p), 0.7),
    "norm that is small": lambda t, p: t.nn.utils.clip_grad_norm_(p, 100, foreach=False),
    "largest": lambda t, p: t.nn.utils.clip_grad_norm_(p, 0.7, norm_type=float("inf")),
    "sum": lambda t, p: t.nn.utils.clip_grad_norm_(p, max_norm=0.7, norm_type=1),
    "one tensor": lambda t, p: t.nn.utils.clip_grad_norm_(p[0], 0.7),
    "no gradient": lambda t, p: t.nn.utils.clip_grad_norm_(p[2:], 0.7),
    "with a norm": lambda t, p: t.nn.utils.clip_grads_with_norm_(p, 0.7, t.tensor(2.0)),
    "value": lambda t, p: t.nn.utils.clip_grad_value_(p, 0.3, foreach=None),
    "total norm": lambda t, p: t.nn.utils.get_total_norm(gradients(p), 3.0),
    "total of none": lambda t, p: t.nn.utils.get_total_norm([]),
}


@pytest.mark.parametrize("name", CLIPPINGS)
def test_gradients_are_clipped_as_in_pytorch(name):
    ours, theirs = with_gradients(dtrain), with_gradients(torch)
    out, expected = CLIPPINGS[name](dtrain, ours), CLIPPINGS[name](torch, theirs)
    assert (out is None) == (expected is None)
    if out is not None:
        np.testing.assert_allclose(out.numpy(), expected.numpy(), rtol=1e-6)
    for a, b in zip(gradients(ours), gradients(theirs), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


@pytest.mark.parametrize("t", [dtrain, torch], ids=["dtrain", "torch"])
def test_an_infinite_norm_is_refused_if_wanted(t):
    params = with_gradients(t, np.inf)
    with pytest.raises(RuntimeError):
        t.nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert np.isinf(params[0].grad.numpy()).all()


@pytest.mark.parametrize("t", [dtrain, torch], ids=["dtrain", "torch"])
def test_parameters_go_through_a_vector(t):
    model = t.nn.Linear(2, 3)
    vector = t.nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (9,)
    assert vector.requires_grad
    t.nn.utils.vector_to_parameters(vector.detach() * 0 + t.arange(9.0), model.parameters())
    assert model.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert model.bias.tolist() == [6, 7, 8]
    assert model.bias.requires_grad
    with pytest.raises(TypeError):
        t.nn.utils.vector_to_parameters([1.0] * 9, model.parameters())


FUSED = {
    "conv": lambda t: (t.nn.Conv2d(2, 3, 2), t.nn.BatchNorm2d(3)),
    "conv without bias": lambda t: (t.nn.Conv2d(2, 3, 2, bias=False), t.nn.BatchNorm2d(3)),
    "plain": lambda t: (t.nn.Conv2d(2, 3, 2), t.nn.BatchNorm2d(3, affine=False)),
    "transposed": lambda t: (t.nn.ConvTranspose2d(2, 3, 2), t.nn.BatchNorm2d(3)),
    "linear": lambda t: (t.nn.Linear(2, 3), t.nn.BatchNorm1d(3)),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused_layers_are_pytorchs(name):
    def fuse(t):
        layer, norm = (module.double().eval() for module in FUSED[name](t))
        for i, value in enumerate([*layer.state_dict().values(), *norm.state_dict().values()]):
            if value.is_floating_point():
                value.copy_(t.tensor(abs(numbers(*value.shape, seed=i)) + 0.1))
        utils = t.nn.utils
        if name == "linear":
            fused = utils.fuse_linear_bn_eval(layer, norm)
        else:
            fused = utils.fuse_conv_bn_eval(layer, norm, transpose=name == "transposed")
        x = t.tensor(numbers(4, 2) if name == "linear" else numbers(4, 2, 3, 3))
        with t.no_grad():
            return fused(x).numpy(), norm(layer(x)).numpy(), fused.state_dict()

    (ours, own, state), (theirs, _, expected) = fuse(dtrain), fuse(torch)
    np.testing.assert_allclose(ours, own, rtol=1e-6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    for key in expected:
        np.testing.assert_allclose(state[key].numpy(), expected[key].numpy(), rtol=1e-6)


def test_fusion_refuses_modules_that_train():
    with pytest.raises(AssertionError, match="eval"):
        dtrain.nn.utils.fuse_conv_bn_eval(dtrain.nn.Conv2d(1, 1, 1), dtrain.nn.BatchNorm2d(1))
