"""Dropout on a GPU keeps no mask, and draws the bits that a CPU draws."""

import pytest

import dtrain
from dtrain.nn import functional as F


def dropped(device, dtype=dtrain.float32, **options):
    """Dropout of a transposed matrix, and its gradient."""
    dtrain.manual_seed(5)
    x = dtrain.randn(7, 9, generator=dtrain.Generator(1)).to(dtype).to(device).requires_grad_()
    out = F.dropout(x.T * 1, 0.3, **options)
    out.backward(out.detach())
    return [out.detach().cpu().tolist(), x.grad.cpu().tolist()]


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64])
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_has_the_cpus_bits(dtype, inplace):
    assert dropped("cuda", dtype, inplace=inplace) == dropped("cpu", dtype, inplace=inplace)


@pytest.mark.parametrize("dtype", [dtrain.float16, dtrain.bfloat16])
def test_dropout_of_halves_drops_the_same(dtype):
    given, expected = dropped("cuda", dtype), dropped("cpu", dtype)
    for a, b in zip(given, expected):
        a, b = dtrain.tensor(a), dtrain.tensor(b)
        assert (a == 0).tolist() == (b == 0).tolist()
        dtrain.testing.assert_close(a, b, rtol=1.6e-2, atol=1e-3)


def test_dropout_is_a_launch_each_way_and_copies_nothing(counts, copies):
    x = dtrain.randn(64, device="cuda").requires_grad_()
    copies()
    counts()
    out = F.dropout(x, 0.5)
    assert dict(counts()) == {"keyed_dropout": 1}
    grad = dtrain.ones_like(out)
    counts()
    out.backward(grad)
    assert counts()["keyed_dropout"] == 1
    assert copies() == (0, 0)


def test_dropout_is_differentiated_twice():
    dtrain.manual_seed(5)
    x = dtrain.randn(6, device="cuda").requires_grad_()
    out = F.dropout(x, 0.5)
    (grad,) = dtrain.autograd.grad((out * out).sum(), x, create_graph=True)
    grad.sum().backward()
    assert x.grad.tolist() == [0 if y == 0 else 8 for y in out.tolist()]


def test_a_graph_draws_anew_and_has_the_bits_of_eager_mode():
    layer = dtrain.nn.Sequential(dtrain.nn.Linear(8, 8), dtrain.nn.Dropout(0.5)).cuda()
    compiled = dtrain.compile(layer, fullgraph=True)
    x = dtrain.randn(4, 8, device="cuda")
    outputs = []
    for run in (compiled, layer):
        dtrain.manual_seed(3)
        outputs.append([run(x).tolist() for _ in range(4)])
    assert outputs[0] == outputs[1]
    assert outputs[0][2] != outputs[0][3]
