"""A linear layer and its activation: on a GPU one kernel adds the bias, and the bits are the same."""

import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain import nn
from dtrain.models.gpt2 import Conv1D

ACTIVATIONS = {
    "relu": nn.ReLU(), "silu": nn.SiLU(), "gelu": nn.GELU(), "gelu_tanh": nn.GELU("tanh"),
}  # fmt: skip


def outcome(function, layer, shape, dtype):
    """The output and the gradients of the input and the layer's parameters."""
    generator = dtrain.Generator(3)
    x = dtrain.randn(*shape, generator=generator).to(dtype).to("cuda").requires_grad_()
    layer.zero_grad()
    out = function(x)
    out.backward(dtrain.randn(*out.shape, generator=generator).to(dtype).to("cuda"))
    return out.detach(), x.grad, *(p.grad for p in layer.parameters())


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64, dtrain.float16, dtrain.bfloat16])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 7)])
def test_a_sequential_has_the_bits_of_the_two_layers(name, shape, dtype, counts):
    linear, activation = nn.Linear(7, 9).to(dtype).to("cuda"), ACTIVATIONS[name]
    counts()
    fused = outcome(nn.Sequential(linear, activation), linear, shape, dtype)
    names = counts()
    assert (names["bias_activation"], names["bias_activation_backward"]) == (1, 1)
    for a, b in zip(fused, outcome(lambda x: activation(linear(x)), linear, shape, dtype)):
        assert dtrain.equal(a, b)
    assert not counts()["bias_activation"]


def test_second_derivatives_are_those_of_the_two_layers():
    linear = nn.Linear(4, 3).to("cuda").double()
    x = dtrain.randn(5, 4, dtype=dtrain.float64, device="cuda").requires_grad_()

    def second(function):
        (g,) = dtrain.autograd.grad(function(x).sum(), x, create_graph=True)
        return dtrain.autograd.grad((g * g).sum(), [x, linear.weight])

    fused = second(nn.Sequential(linear, nn.GELU()))
    for a, b in zip(fused, second(lambda x: F.gelu(linear(x)))):
        dtrain.testing.assert_close(a, b)


def test_a_hook_gets_the_output_of_the_linear_layer(counts):
    linear, seen = nn.Linear(4, 3).to("cuda"), []
    linear.register_forward_hook(lambda module, given, out: seen.append(out.shape))
    counts()
    nn.Sequential(linear, nn.ReLU())(dtrain.ones(2, 4, device="cuda"))
    assert seen == [(2, 3)]
    assert not counts()["bias_activation"]


@pytest.mark.parametrize("make", [
    lambda: nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True),
    lambda: Conv1D(8, 8),
])  # fmt: skip
def test_models_join_them(make, counts):
    model = make().to("cuda")
    counts()
    x = dtrain.randn(2, 3, 8, device="cuda")
    if isinstance(model, Conv1D):
        out = model.apply_with_gelu(x)
        assert counts()["bias_activation"] == 1
        assert dtrain.equal(out, F.gelu(model(x), "tanh"))
    else:
        model(x)
        assert counts()["bias_activation"] == 1


def test_autocast_computes_in_its_dtype():
    model = nn.Sequential(nn.Linear(4, 3), nn.GELU()).to("cuda")
    with dtrain.autocast("cuda", dtype=dtrain.bfloat16):
        x = dtrain.ones(2, 4, device="cuda")
        out = model(x)
        assert out.dtype == dtrain.bfloat16
        assert dtrain.equal(out, model[1](model[0](x)))
